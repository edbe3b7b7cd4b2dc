-- Where the agent that made a host says it is. Where its own agent joined from may be a NAT's address.
alter table agents add column made_address text;
