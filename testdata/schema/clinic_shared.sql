-- Rows that belong to no tenant.
INSERT INTO countries VALUES
    ('AT', 'Austria', 20.0), ('CH', 'Switzerland', 8.1), ('DE', 'Germany', 19.0),
    ('FR', 'France', 20.0), ('IT', 'Italy', 22.0), ('LI', 'Liechtenstein', 8.1);
INSERT INTO feature_flags VALUES
    ('online_booking', true, NULL), ('reminders', false, 'from spring on'), ('video', false, NULL);
INSERT INTO jobs SELECT n, 'job ' || n FROM generate_series(1, 5) n;
