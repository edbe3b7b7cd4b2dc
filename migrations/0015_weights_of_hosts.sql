-- The weight a host serves with when a deployment does not divide the traffic into shares. Noted beside
-- what the balancer sends it now, so that neither a share that stayed nor a time out of traffic makes it
-- forgotten.
alter table group_traffic add column weight smallint check (weight between 1 and 256);
