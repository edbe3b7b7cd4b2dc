-- What the monitors of a deployment's group found while it was unfinished. Kept: what the rule
-- "so many of so many" needs, and no more.
create table monitor_samples (
    id bigint generated always as identity primary key,
    deployment_id bigint not null references deployments on delete cascade,
    monitor text not null,
    at timestamptz not null default now(),
    look jsonb not null
);
create index monitor_samples_newest on monitor_samples (deployment_id, monitor, id);

-- The question an agent was asked for a monitor, and the balancer's counters at its last look.
create table monitor_watches (
    deployment_id bigint not null references deployments on delete cascade,
    monitor text not null,
    task_id bigint,
    asked_at timestamptz,
    counters jsonb,
    primary key (deployment_id, monitor)
);

-- What the judge of a step has counted so far, and what follows.
create table judgements (
    deployment_id bigint not null references deployments on delete cascade,
    step int not null,
    task_id bigint,
    asked_at timestamptz,
    looked_at timestamptz,
    tally jsonb,
    verdict jsonb,
    primary key (deployment_id, step)
);

-- Somebody's word in place of what a monitor finds: for drills.
create table monitor_overrides (
    group_id bigint not null references groups on delete cascade,
    monitor text not null,
    state text not null check (state in ('alarm', 'ok')),
    set_by text not null,
    reason text not null,
    at timestamptz not null default now(),
    primary key (group_id, monitor)
);
