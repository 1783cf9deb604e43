//! One study on many machines: agents, started by Slurm or by hand, train what the process that runs the study asks of them.
//!
//! Both sides see one folder, the study's, and nothing else: no port is opened. Each agent has two files in it, of which one
//! side writes one and the other reads it. Lines are only added, so that what is read is never half of something, on NFS too.
//! The process that runs the study decides which agent trains what, and is the only one that writes the journal: an agent, a
//! machine or that process may be killed at any moment, and nothing that has ended is lost or counted twice.

mod agent;
mod coordinator;
mod estimate;
mod event;
mod launcher;
mod mailbox;
mod message;
mod plan;
mod simulation;
mod slurm;
mod status;
mod trial;

pub use agent::{Agent, AgentEnd};
pub use coordinator::{Cluster, Counts, Machines};
pub use estimate::ClusterEstimate;
pub use event::ClusterEvent;
pub use launcher::{ByHand, Launcher, Processes, Unit, UnitState};
pub use simulation::{Simulation, SimulationResult};
pub use slurm::{Slurm, submit_study};
pub use status::{AgentStatus, ClusterStatus, stop};
pub use trial::{JobRunner, TrialResult, run_trial};
