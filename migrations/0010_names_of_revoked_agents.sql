-- A host that was removed, or whose agent was revoked, may join again under its name: names are unique
-- among agents that take part, and those that are expected to.
alter table agents drop constraint agents_name_key;
create unique index agents_name_key on agents (name) where state <> 'revoked';
