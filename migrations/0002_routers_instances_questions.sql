-- Tasks are of several kinds now: what happened to whom when one ends depends on it. `host_id` is the
-- host a task is about, `agent_id` who does it; they differ for balancers and providers.
alter table tasks add column kind text;
update tasks set kind = case role when 'build' then 'build' else 'host' end;
alter table tasks alter column kind set not null;
alter table tasks add check (kind in ('build', 'host', 'route', 'launch', 'dismiss', 'question'));
alter table tasks add column host_id bigint references agents;
update tasks set host_id = agent_id where kind = 'host';

-- A question belongs to nobody's progress: whoever asked looks for its answer.
alter table tasks drop constraint tasks_check;
alter table tasks add check (kind = 'question' or (run_id is null) <> (deployment_id is null));
alter table tasks drop constraint tasks_deployment_id_agent_id_attempt_key;
create unique index tasks_of_hosts on tasks (deployment_id, kind, host_id, attempt)
    where kind in ('host', 'launch', 'dismiss');
create unique index tasks_of_routers on tasks (deployment_id, attempt) where kind = 'route';
create index tasks_of_deployment on tasks (deployment_id, id) where deployment_id is not null;
create index tasks_questions on tasks (created_at) where kind = 'question';

-- What the balancer was last proved to send each host of a group.
create table group_traffic (
    group_id bigint not null references groups on delete cascade,
    agent_id bigint not null references agents on delete cascade,
    lane jsonb not null,
    -- the balancer found it good when it was last asked
    answers boolean not null default false,
    updated_at timestamptz not null default now(),
    primary key (group_id, agent_id)
);

-- Instances: hosts that a deployment has made. Their rows come before them, so that a plan can name
-- them; `expected` ones have not joined yet and are nobody's host.
alter table agents drop constraint agents_state_check;
alter table agents add check (state in ('expected', 'active', 'drained', 'revoked'));
alter table agents add column made_for bigint references deployments;
alter table agents add column made_in bigint references groups on delete set null;
create index agents_made_for on agents (made_for) where made_for is not null;

-- A token for one agent alone: that of an instance.
alter table join_tokens add column agent_id bigint references agents on delete cascade;

-- Who made it, and takes it away.
alter table agents add column provider_id bigint references agents;

-- A deployment reads its balancer before it plans: the question, and when it was answered.
alter table deployments add column survey_task bigint;
alter table deployments add column surveyed_at timestamptz;
