-- A host works on one task at a time: what a task waits for others there is not its own time.
alter table tasks add column started_at timestamptz;
update tasks set started_at = claimed_at where kind = 'host' and progress is not null;
