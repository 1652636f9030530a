"""What the Python programs share: steps, and where to connect."""
import os
import signal
import sys
import threading

HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, PASSWORD, DATABASE = os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGDATABASE"]
MAY_CREATE = os.environ["CLIENT_LOGIN"] != "tenant"

# Runs until it is cancelled.
ENDLESS = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"

PATIENCE = 30  # seconds for a step

after_failure = []  # what makes the next step possible


def step(name, creates=False):
    """Runs the function it decorates, once, and prints how that went."""

    def run(function):
        if creates and not MAY_CREATE:
            print(f"skip {name}: creates objects", flush=True)
            return

        def late(*_):
            raise TimeoutError("timed out")

        signal.signal(signal.SIGALRM, late)
        signal.alarm(PATIENCE)
        try:
            function()
        except BaseException as e:
            signal.alarm(0)
            why = str(e).strip().split("\n")[0] or type(e).__name__
            print(f"not ok {name}: {type(e).__name__}: {why}", flush=True)
            for recover in after_failure:
                recover()
        else:
            signal.alarm(0)
            print(f"ok {name}", flush=True)

    return run


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def fails(exception, function, *args, **kwargs):
    """Returns the exception that function must raise."""
    try:
        function(*args, **kwargs)
    except exception as e:
        return e
    raise AssertionError(f"no {exception.__name__}")


def threads(count, function):
    """Runs function(0) to function(count - 1) at once."""
    failures = []

    def one(i):
        try:
            function(i)
        except BaseException as e:
            failures.append(e)

    running = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    if failures:
        raise failures[0]


def end():
    sys.stdout.flush()
    os._exit(0)
