-- Queue and state are the same rows: what is unfinished is found by partial indexes, so finished
-- work, however much of it, slows nothing down. History is elsewhere (table history).

-- Instants cross the border to Rust as milliseconds since the epoch.
create function ms(at timestamptz) returns bigint language sql stable parallel safe
    return (extract(epoch from at) * 1000)::bigint;
create function from_ms(ms bigint) returns timestamptz language sql immutable parallel safe
    return to_timestamp(ms / 1000.0);

create table installation (
    id int primary key default 1 check (id = 1),
    uuid uuid not null,
    created_at timestamptz not null default now()
);

-- One controller at a time decides. The epoch rises with every change of holder.
create table controller_lease (
    id int primary key default 1 check (id = 1),
    holder uuid,
    epoch bigint not null default 0,
    expires_at timestamptz not null default 'epoch'
);
insert into controller_lease (id) values (1);

-- People -------------------------------------------------------------------------------------------

create table users (
    id bigint generated always as identity primary key,
    name text not null unique,
    password_hash text not null,
    role text not null check (role in ('viewer', 'developer', 'operator', 'admin')),
    created_at timestamptz not null default now()
);

-- Tokens are stored as SHA-256 of a long random secret; the secret itself is shown once.
create table sessions (
    token_hash bytea primary key,
    user_id bigint not null references users on delete cascade,
    csrf text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

create table api_tokens (
    token_hash bytea primary key,
    user_id bigint not null references users on delete cascade,
    name text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz
);

-- Agents -------------------------------------------------------------------------------------------

create table join_tokens (
    id text primary key,
    secret_hash bytea not null,
    role text not null check (role in ('build', 'deploy')),
    tags jsonb not null default '{}',
    uses_left int not null check (uses_left >= 0),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

create table agents (
    id bigint generated always as identity primary key,
    name text not null unique,
    role text not null check (role in ('build', 'deploy')),
    tags jsonb not null default '{}',
    version text not null,
    credential_hash bytea not null unique,
    -- token id and the agent's own idempotency key: a repeated join is the same join
    join_key text not null unique,
    state text not null default 'active' check (state in ('active', 'drained', 'revoked')),
    unfit text,
    address text,
    installed jsonb not null default '[]',
    joined_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);

-- What people register -----------------------------------------------------------------------------

create table repositories (
    name text primary key,
    created_at timestamptz not null default now()
);

-- The last commit of every ref that was looked at: a difference to git itself is an unseen push.
create table repository_refs (
    repository text not null references repositories on delete cascade,
    ref text not null,
    commit text not null,
    primary key (repository, ref)
);

create table pipelines (
    id bigint generated always as identity primary key,
    name text not null unique,
    text text not null,
    spec jsonb not null,
    version int not null default 1,
    last_number bigint not null default 0,
    -- the webhook secret is derived from the controller's key and this counter; raising it rotates
    webhook_counter int not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table groups (
    id bigint generated always as identity primary key,
    name text not null unique,
    text text not null,
    spec jsonb not null,
    version int not null default 1,
    -- highest generation any agent of this group was told
    generation bigint not null default 0,
    -- revision of the last successful deployment
    base jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table webhook_deliveries (
    source text not null,
    delivery text not null,
    received_at timestamptz not null default now(),
    primary key (source, delivery)
);

-- Work ---------------------------------------------------------------------------------------------

create table runs (
    id bigint generated always as identity primary key,
    pipeline_id bigint not null references pipelines,
    number bigint not null,
    -- the pipeline as it was when the run was created
    spec jsonb not null,
    trigger jsonb not null,
    status text not null,
    state jsonb not null,
    waiting jsonb not null default '[]',
    label text not null default '',
    version int not null default 0,
    wake_at timestamptz,
    -- a defect stopped the engine from deciding; the text says what
    stuck text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (pipeline_id, number)
);
create index runs_unfinished on runs (pipeline_id, id) where finished_at is null;
create index runs_wake on runs (wake_at) where finished_at is null and wake_at is not null;

-- Buildspecs as they were at the run's commit, already parsed without errors.
create table run_specs (
    run_id bigint not null references runs on delete cascade,
    action text not null,
    text text not null,
    primary key (run_id, action)
);

create table deployments (
    id bigint generated always as identity primary key,
    group_id bigint not null references groups,
    run_id bigint references runs,
    action text,
    attempt int,
    purpose text not null check (purpose in ('forward', 'rollback')),
    revision jsonb not null,
    plan jsonb,
    status text not null,
    state jsonb,
    waiting jsonb not null default '[]',
    version int not null default 0,
    wake_at timestamptz,
    stuck text,
    created_by text not null,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (run_id, action, attempt)
);
-- At most one deployment works in a group, whatever the controllers believe.
create unique index deployments_one_at_work on deployments (group_id)
    where status in ('running', 'failing', 'rolling-back');
create index deployments_unfinished on deployments (group_id, id) where finished_at is null;
create index deployments_wake on deployments (wake_at)
    where finished_at is null and wake_at is not null;
create index deployments_by_group on deployments (group_id, id desc);

-- What each host serves, per group.
create table group_hosts (
    group_id bigint not null references groups on delete cascade,
    agent_id bigint not null references agents on delete cascade,
    serving text not null check (serving in ('revision', 'unknown', 'broken')),
    revision jsonb,
    -- the last revision a successful deployment left here
    good jsonb,
    deployment_id bigint references deployments,
    updated_at timestamptz not null default now(),
    primary key (group_id, agent_id)
);

create table inbox (
    id bigint generated always as identity primary key,
    run_id bigint references runs,
    deployment_id bigint references deployments,
    event jsonb not null,
    check ((run_id is null) <> (deployment_id is null))
);
create index inbox_runs on inbox (run_id, id) where run_id is not null;
create index inbox_deployments on inbox (deployment_id, id) where deployment_id is not null;

create table history (
    id bigint generated always as identity primary key,
    run_id bigint references runs,
    deployment_id bigint references deployments,
    at timestamptz not null default now(),
    epoch bigint not null,
    event jsonb not null,
    status text not null,
    waiting jsonb not null
);
create index history_runs on history (run_id, id) where run_id is not null;
create index history_deployments on history (deployment_id, id) where deployment_id is not null;

-- Effects outside the database. Deleted when done; performing one twice is safe.
create table outbox (
    id bigint generated always as identity primary key,
    run_id bigint not null references runs,
    command jsonb not null,
    epoch bigint not null,
    tries int not null default 0,
    next_at timestamptz not null default now()
);

create table tasks (
    id bigint generated always as identity primary key,
    role text not null check (role in ('build', 'deploy')),
    run_id bigint references runs,
    action text,
    deployment_id bigint references deployments,
    attempt int not null,
    -- deploy tasks belong to one host from the start, builds to whoever claims them
    agent_id bigint references agents,
    work jsonb not null,
    -- artifacts the agent may fetch while it holds the task
    needs text[] not null default '{}',
    generation bigint not null default 0,
    epoch bigint not null,
    timeout_ms bigint not null,
    cancel boolean not null default false,
    progress jsonb,
    outcome jsonb,
    log_size bigint,
    created_at timestamptz not null default now(),
    claimed_at timestamptz,
    finished_at timestamptz,
    check ((run_id is null) <> (deployment_id is null)),
    unique (run_id, action, attempt),
    unique (deployment_id, agent_id, attempt)
);
create index tasks_queued on tasks (id)
    where agent_id is null and finished_at is null;
create index tasks_held on tasks (agent_id) where finished_at is null;

create table artifacts (
    digest text primary key,
    size bigint not null,
    created_at timestamptz not null default now()
);
