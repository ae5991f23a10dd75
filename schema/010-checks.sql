-- What is checked with each change of a state, said so that it costs little: SQLite builds a table for each IN of three words and more
-- each time that it looks at a row, and that was half of the cost of a change. A CHECK is only text in the schema: it is written anew
-- as https://sqlite.org/lang_altertable.html describes for such changes; the rows stay as they are.

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace (sql, 'state IN (''queued'', ''assigned'', ''fetching'', ''building'', ''pushing'', ''verifying'', ''done'',
                                         ''failed'', ''cancelled'')',
    'state = ''queued'' OR state = ''assigned'' OR state = ''fetching'' OR state = ''building'' OR state = ''pushing'' OR state = ''verifying'' '
    || 'OR state = ''done'' OR state = ''failed'' OR state = ''cancelled''') WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace (sql, 'state IN (''queued'', ''running'', ''publishing'', ''published'', ''failed'', ''cancelled'')',
    'state = ''queued'' OR state = ''running'' OR state = ''publishing'' OR state = ''published'' OR state = ''failed'' OR state = ''cancelled''')
    WHERE type = 'table' AND name = 'builds';

-- With this reference SQLite looked through all events for each job that is forgotten, for there is no index by job, and an event of a
-- job is one of its build, which refers too.
UPDATE sqlite_schema SET sql = replace (sql, 'job INTEGER REFERENCES jobs (id)', 'job INTEGER') WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET;

-- Live builds are those without an end; of live jobs only those that wait for a publisher are looked for.
DROP INDEX builds_live;
CREATE INDEX builds_live ON builds (id) WHERE ended_ms IS NULL;
DROP INDEX jobs_live;
CREATE INDEX jobs_verifying ON jobs (id) WHERE state = 'verifying';
