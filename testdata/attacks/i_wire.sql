-- I. What a client says to the server before and around SQL, as far as it is
-- text; the rest is in proxy/attacks_protocol_test.go.

-- I2. a setting of the lexer in the same message
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET standard_conforming_strings = off; SELECT '\'', note FROM members --';

-- I2. a statement that is refused behind one that is not
--! rls rewrite both: 42501 relation.denied
--= rls: shows
--= rewrite: writes
DELETE FROM log_lines; SELECT payload FROM jobs;

-- I3. several statements in one Parse
--= rls: harmless, policies hold
--= rewrite: shows
SELECT 1; SELECT note FROM members;

-- I4. an encoding in which a backslash is half a character
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET client_encoding = 'SJIS';

-- I4. BIG5
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET client_encoding TO BIG5;

-- I4. GBK by SET NAMES
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET NAMES 'GBK';

-- I4. GB18030 by set_config
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SELECT set_config('client_encoding', 'GB18030', true);

-- I4. LATIN1
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET client_encoding = latin1;

-- I4. SHIFT_JIS_2004 for the transaction
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET LOCAL client_encoding = 'SHIFT_JIS_2004';

-- I4. SQL_ASCII
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET client_encoding = 'SQL_ASCII';

-- I4. the encoding in quotes and capitals
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET "CLIENT_ENCODING" = 'uhc';

-- I4. RESET of the encoding
--= rls rewrite: harmless, it is what the connection began with
RESET client_encoding;

-- I5. standard_conforming_strings
--! rls rewrite both: 42501 setting.value
--= rls: leaves
--= rewrite: shows
SET standard_conforming_strings = off;
SELECT 'a\'', note FROM members --';

-- I5. standard_conforming_strings as a number
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET standard_conforming_strings = 0;

-- I5. standard_conforming_strings by default of the role
--= rls rewrite: harmless, the default is on
SET standard_conforming_strings TO DEFAULT;

-- I5. backslash_quote
--! rls rewrite both: 42501 setting.unlisted
--= rls rewrite: leaves
SET backslash_quote = on;

-- I5. transform_null_equals
--! rls rewrite both: 42501 setting.unlisted
--= rls rewrite: leaves
SET transform_null_equals = on;
SELECT id FROM patients WHERE {t} name = NULL;

-- I5. array_nulls
--! rls rewrite both: 42501 setting.unlisted
--= rls rewrite: leaves
SET array_nulls = off;

-- I5. quote_all_identifiers
--= rls rewrite: leaves
SET quote_all_identifiers = on;

-- I8. a Query that comes behind an Execute without Sync
--= rls: harmless, policies hold
--= rewrite: tells
INSERT INTO log_lines (level, line) VALUES ('x', 'y');
SELECT count(*) FROM log_lines;
