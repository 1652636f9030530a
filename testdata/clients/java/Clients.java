import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/** PgJDBC, in each of its query modes. */
public class Clients {
  interface Step { void run() throws Exception; }

  static final String ENDLESS = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
  static final String BASE = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
      + System.getenv("PGDATABASE") + "?ApplicationName=clients&loginTimeout=20&socketTimeout=60&sslmode=disable";
  static final boolean MAY_CREATE = !"tenant".equals(System.getenv("CLIENT_LOGIN"));

  static String mode, options;

  static void step(String name, Step step) {
    try {
      step.run();
      System.out.println("ok " + mode + " " + name);
    } catch (Throwable e) {
      System.out.println("not ok " + mode + " " + name + ": " + String.valueOf(e.getMessage()).split("\n")[0]);
    }
  }

  static void creates(String name, Step step) {
    if (MAY_CREATE) step(name, step);
    else System.out.println("skip " + mode + " " + name + ": creates objects");
  }

  static void equal(Object got, Object want) {
    if (!Objects.equals(got, want)) throw new RuntimeException("got " + got + ", want " + want);
  }

  static SQLException fails(Step step) throws Exception {
    try {
      step.run();
    } catch (SQLException e) {
      return e;
    }
    throw new RuntimeException("accepted");
  }

  static Connection connect(String more) throws SQLException {
    return DriverManager.getConnection(BASE + options + more, System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
  }

  static Connection connect() throws SQLException { return connect(""); }

  static int number(Connection c, String sql) throws SQLException { return Integer.parseInt(text(c, sql)); }

  static String text(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  public static void main(String[] args) {
    String[][] modes = {
      {"extended", ""}, {"prepareThreshold=1", "&prepareThreshold=1"}, {"prepareThreshold=-1", "&prepareThreshold=-1"},
      {"prepareThreshold=0", "&prepareThreshold=0"}, {"simple", "&preferQueryMode=simple"},
      {"extendedForPrepared", "&preferQueryMode=extendedForPrepared"},
      {"extendedCacheEverything", "&preferQueryMode=extendedCacheEverything"},
      {"autosave=always", "&autosave=always"}, {"autosave=conservative", "&autosave=conservative"},
      {"binary", "&binaryTransfer=true&prepareThreshold=-1&binaryTransferEnable=NUMERIC,TIMESTAMPTZ"},
    };
    for (String[] m : modes) {
      mode = m[0];
      options = m[1];
      steps();
    }
    System.exit(0);
  }

  static void steps() {
    boolean simple = options.contains("simple");
    step("prepared statements", () -> {
      try (Connection c = connect()) {
        c.createStatement().execute("DELETE FROM items");
        for (int i = 0; i < 20; i++) {
          try (PreparedStatement p = c.prepareStatement("INSERT INTO items (name, n, at) VALUES (?, ?, ?)", new String[] {"n"})) {
            p.setString(1, "x" + i);
            p.setInt(2, i);
            p.setTimestamp(3, new Timestamp(0));
            p.executeUpdate();
            ResultSet keys = p.getGeneratedKeys();
            keys.next();
            equal(keys.getInt(1), i);
          }
        }
        try (PreparedStatement p = c.prepareStatement("SELECT name, at FROM items WHERE n = ?")) {
          for (int i = 0; i < 20; i++) {
            p.setInt(1, i);
            ResultSet r = p.executeQuery();
            r.next();
            equal(r.getString(1), "x" + i);
            equal(r.getTimestamp(2).getTime(), 0L);
          }
        }
      }
    });
    step("a batch", () -> {
      try (Connection c = connect()) {
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("INSERT INTO items (n) VALUES (?)")) {
          for (int i = 0; i < 1500; i++) {
            p.setInt(1, 1000 + i);
            p.addBatch();
          }
          equal(p.executeBatch().length, 1500);
        }
        c.commit();
        equal(number(c, "SELECT count(*) FROM items WHERE n >= 1000"), 1500);
        c.commit();
      }
    });
    step("reWriteBatchedInserts", () -> {
      try (Connection c = connect("&reWriteBatchedInserts=true");
          PreparedStatement p = c.prepareStatement("INSERT INTO items (name, n) VALUES (?, ?)")) {
        for (int round = 0; round < 3; round++) {
          for (int i = 0; i < 500; i++) {
            p.setString(1, "rewritten");
            p.setInt(2, i);
            p.addBatch();
          }
          p.executeBatch();
        }
        equal(number(c, "SELECT count(*) FROM items WHERE name = 'rewritten'"), 1500);
        c.createStatement().execute("DELETE FROM items WHERE name = 'rewritten'");
      }
    });
    step("a batch with an error", () -> {
      try (Connection c = connect(); Statement s = c.createStatement()) {
        s.addBatch("INSERT INTO items (n) VALUES (1)");
        s.addBatch("INSERT INTO items (n) VALUES (1/0)");
        BatchUpdateException e = (BatchUpdateException) fails(s::executeBatch);
        equal(e.getSQLState(), "22012");
        equal(number(c, "SELECT 1"), 1);
      }
    });
    step("fetchSize", () -> {
      try (Connection c = connect()) {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
          s.setFetchSize(50);
          ResultSet r = s.executeQuery("SELECT g FROM generate_series(1, 2000) g");
          int n = 0;
          while (r.next()) n++;
          equal(n, 2000);
        }
        c.commit();
      }
    });
    step("two portals in turn", () -> {
      try (Connection c = connect()) {
        c.setAutoCommit(false);
        try (PreparedStatement up = c.prepareStatement("SELECT g FROM generate_series(1, ?) g");
            PreparedStatement down = c.prepareStatement("SELECT g FROM generate_series(?, 1, -1) g")) {
          up.setFetchSize(7);
          down.setFetchSize(11);
          up.setInt(1, 100);
          down.setInt(1, 100);
          ResultSet x = up.executeQuery(), y = down.executeQuery();
          int n = 0;
          while (x.next() && y.next()) {
            equal(x.getInt(1) + y.getInt(1), 101);
            n++;
          }
          equal(n, 100);
        }
        c.commit();
      }
    });
    step("COPY", () -> {
      try (Connection c = connect()) {
        CopyManager m = c.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder rows = new StringBuilder();
        for (int i = 0; i < 3000; i++) rows.append("copied").append(i).append('\n');
        equal(m.copyIn("COPY items (name) FROM STDIN", new StringReader(rows.toString())), 3000L);
        StringWriter out = new StringWriter();
        equal(m.copyOut("COPY (SELECT name FROM items WHERE name LIKE 'copied%') TO STDOUT", out), 3000L);
        c.createStatement().execute("DELETE FROM items WHERE name LIKE 'copied%'");
      }
    });
    step("COPY given up", () -> {
      try (Connection c = connect()) {
        CopyIn in = c.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY items (name) FROM STDIN");
        in.writeToCopy("q\n".getBytes(), 0, 2);
        in.cancelCopy();
        equal(number(c, "SELECT 1"), 1);
      }
    });
    step("savepoints", () -> {
      try (Connection c = connect()) {
        c.setAutoCommit(false);
        Savepoint s = c.setSavepoint();
        fails(() -> c.createStatement().execute("SELECT 1/0"));
        c.rollback(s);
        equal(number(c, "SELECT 2"), 2);
        c.commit();
      }
    });
    step("an error in a transaction", () -> {
      try (Connection c = connect()) {
        c.setAutoCommit(false);
        number(c, "SELECT 1");
        equal(fails(() -> number(c, "SELECT 1/0")).getSQLState(), "22012");
        if (options.contains("autosave=always")) equal(number(c, "SELECT 3"), 3);
        else equal(fails(() -> number(c, "SELECT 1")).getSQLState(), "25P02");
        c.rollback();
        equal(number(c, "SELECT 2"), 2);
      }
    });
    step("a query timeout cancels", () -> {
      try (Connection c = connect(); Statement s = c.createStatement()) {
        s.setQueryTimeout(1);
        equal(fails(() -> s.execute(ENDLESS)).getSQLState(), "57014");
        equal(number(c, "SELECT 3"), 3);
      }
    });
    step("isolation and read only", () -> {
      try (Connection c = connect()) {
        c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        c.setReadOnly(true);
        c.setAutoCommit(false);
        equal(text(c, "SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only')"), "serializableon");
        c.commit();
      }
    });
    step("options at start-up", () -> {
      try (Connection c = connect("&options=-c%20statement_timeout=4321&currentSchema=public")) {
        equal(text(c, "SHOW statement_timeout"), "4321ms");
      }
    });
    step("metadata", () -> {
      try (Connection c = connect()) {
        ResultSet r = c.getMetaData().getColumns(null, null, "items", null);
        int n = 0;
        while (r.next()) n++;
        equal(n, 9);
        c.getMetaData().getTables(null, null, "%", null).next();
        r = c.getMetaData().getPrimaryKeys(null, null, "items");
        n = 0;
        while (r.next()) n++;
        equal(n, 2);
        c.getMetaData().getImportedKeys(null, null, "items").next();
        c.getMetaData().getIndexInfo(null, null, "items", true, true).next();
        c.getMetaData().getSchemas().next();
        c.getMetaData().getTypeInfo().next();
      }
    });
    step("result set metadata", () -> {
      try (Connection c = connect(); PreparedStatement p = c.prepareStatement("SELECT id, name FROM items WHERE n = ?")) {
        if (!simple) {
          equal(p.getMetaData().getColumnCount(), 2);
          equal(p.getParameterMetaData().getParameterCount(), 1);
        }
        p.setInt(1, 1);
        ResultSet r = p.executeQuery();
        equal(r.getMetaData().isAutoIncrement(1), true);
        equal(r.getMetaData().getColumnName(2), "name");
      }
    });
    step("an updatable result set", () -> {
      try (Connection c = connect();
          Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
        ResultSet r = s.executeQuery("SELECT tenant_id, id, name FROM items WHERE n = 3");
        r.next();
        r.updateString("name", "updated");
        r.updateRow();
        equal(text(c, "SELECT name FROM items WHERE n = 3"), "updated");
      }
    });
    step("many threads", () -> {
      ExecutorService pool = Executors.newFixedThreadPool(12);
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        final int k = i;
        running.add(pool.submit(() -> {
          try (Connection c = connect()) {
            for (int j = 0; j < 12; j++) {
              try (PreparedStatement p = c.prepareStatement("SELECT ?::int + " + (j % 5))) {
                p.setInt(1, k);
                ResultSet r = p.executeQuery();
                r.next();
                equal(r.getInt(1), k + j % 5);
              }
            }
          }
          return null;
        }));
      }
      try {
        for (Future<?> f : running) f.get(60, TimeUnit.SECONDS);
      } finally {
        pool.shutdownNow();
      }
    });
    step("array, json, uuid, bytes", () -> {
      try (Connection c = connect(); PreparedStatement p = c.prepareStatement("SELECT ?::int[], ?::jsonb, ?::uuid, ?::bytea")) {
        byte[] raw = {0, 1, -1, '\\', '\''};
        p.setArray(1, c.createArrayOf("int4", new Integer[] {1, 2}));
        p.setString(2, "{\"a\": 1}");
        p.setObject(3, UUID.randomUUID());
        if (simple) p.setNull(4, java.sql.Types.BINARY);
        else p.setBytes(4, raw);
        ResultSet r = p.executeQuery();
        r.next();
        equal(((Integer[]) r.getArray(1).getArray()).length, 2);
        if (!simple) equal(new String(r.getBytes(4)), new String(raw));
      }
    });
    creates("a cached plan whose table has changed", () -> {
      try (Connection c = connect("&prepareThreshold=1"); Statement s = c.createStatement()) {
        s.execute("DROP TABLE IF EXISTS changed_jdbc; CREATE TABLE changed_jdbc (i int)");
        s.execute("INSERT INTO changed_jdbc VALUES (1)");
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM changed_jdbc")) {
          for (int i = 0; i < 4; i++) p.executeQuery().next();
          s.execute("ALTER TABLE changed_jdbc ADD t text DEFAULT 'x'");
          ResultSet r = p.executeQuery(); // the driver prepares again
          r.next();
          equal(r.getString(2), "x");
        }
        s.execute("DROP TABLE changed_jdbc");
      }
    });
    step("LISTEN and NOTIFY", () -> {
      try (Connection c = connect(); Connection d = connect()) {
        c.createStatement().execute("LISTEN jdbc");
        d.createStatement().execute("NOTIFY jdbc, 'word'");
        PGNotification[] got = c.unwrap(PGConnection.class).getNotifications(10000);
        equal(got[0].getParameter(), "word");
      }
    });
  }
}
