import django
from django.conf import settings
from steps import DATABASE, HOST, PASSWORD, PORT, USER, end, equal, fails, step

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql", "HOST": HOST, "PORT": PORT, "USER": USER, "PASSWORD": PASSWORD, "NAME": DATABASE,
            "CONN_MAX_AGE": None,
        }
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import DataError, connection, models, transaction  # noqa: E402


class Item(models.Model):
    name = models.TextField(null=True)
    n = models.IntegerField(null=True)
    data = models.JSONField(null=True)
    at = models.DateTimeField(null=True)

    class Meta:
        app_label = "clients"
        db_table = "items"
        managed = False


@step("objects")
def _():
    Item.objects.all().delete()
    Item.objects.bulk_create(Item(name=f"x{i}", n=i, data={"k": i}) for i in range(30))
    one = Item.objects.get(n=7)
    equal((one.name, one.data), ("x7", {"k": 7}))
    one.name = "changed"
    one.save()
    equal(Item.objects.filter(data__k=7).values_list("name", flat=True)[0], "changed")
    equal(Item.objects.filter(n__lt=5).aggregate(s=models.Sum("n"))["s"], 10)


@step("update_or_create, F, annotations")
def _():
    Item.objects.update_or_create(n=500, defaults={"name": "made"})
    Item.objects.filter(n=500).update(n=models.F("n") + 1)
    equal(Item.objects.get(n=501).name, "made")
    equal(list(Item.objects.filter(n__lt=4).annotate(even=models.F("n") % 2).values("even").annotate(c=models.Count("id")).order_by("even").values_list("c", flat=True)), [2, 2])


@step("atomic blocks")
def _():
    with transaction.atomic():
        Item.objects.create(name="outer")
        try:
            with transaction.atomic():
                Item.objects.create(name="inner")
                connection.cursor().execute("SELECT 1/0")
        except DataError:
            pass
    equal(list(Item.objects.filter(name__in=["outer", "inner"]).values_list("name", flat=True)), ["outer"])


@step("select_for_update")
def _():
    with transaction.atomic():
        equal(Item.objects.select_for_update().get(n=3).name, "x3")


@step("an iterator with a server-side cursor")
def _():
    equal(sum(i.n for i in Item.objects.filter(n__lt=30).iterator(chunk_size=7)), 435)


@step("raw SQL")
def _():
    with connection.cursor() as c:
        c.execute("SELECT %s || %s", ["it's", "\\"])
        equal(c.fetchone()[0], "it's\\")
    fails(DataError, connection.cursor().execute, "SELECT 1/0")


@step("introspection")
def _():
    with connection.cursor() as c:
        equal("items" in connection.introspection.table_names(c), True)
        equal(len(connection.introspection.get_table_description(c, "items")), 9)
        connection.introspection.get_constraints(c, "items")


@step("migrations", creates=True)
def _():
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    User.objects.create_user("one", password="secret")
    equal(User.objects.get(username="one").check_password("secret"), True)
    call_command("flush", verbosity=0, interactive=False)
    with connection.cursor() as c:
        for table in connection.introspection.table_names(c):
            if table.startswith(("auth_", "django_")):
                c.execute(f'DROP TABLE "{table}" CASCADE')


end()
