//! Stories: what people live through, on the real controller, real agents, real Docker, git and
//! Postgres. Each has a world of its own.

mod behind_a_balancer;
mod behind_nginx;
mod cohorts;
mod controller_dies;
mod delivery;
mod host_in_trouble;
mod joining;
mod killed_at_every_step;
mod people_steer;
mod plans;
mod push_to_deployed;
mod refused;
mod two_controllers;
mod waits_for_agents;
mod watched;
