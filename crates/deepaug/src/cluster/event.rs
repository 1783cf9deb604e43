//! What happens on other machines.

use std::fmt;

use serde::Serialize;

/// What happens to agents, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClusterEvent {
    /// Agents were asked for.
    AgentsAsked {
        /// How many.
        agents: usize,
    },
    /// An agent is ready.
    AgentJoined {
        /// Its name.
        agent: String,
        /// Its machine.
        node: String,
        /// Trainings at once on it.
        slots: usize,
        /// Trainings at once on all.
        all_slots: usize,
    },
    /// An agent has ended, or is given up; others get its trainings.
    AgentLost {
        /// Its name.
        agent: String,
        /// Its machine.
        node: String,
        /// Why.
        why: String,
        /// How many of its trainings others get.
        trainings: usize,
    },
    /// A training failed on one machine, and is tried on another.
    TriedElsewhere {
        /// The machine.
        node: String,
        /// Why it failed.
        why: String,
    },
    /// A machine is not used any more.
    NodeExcluded {
        /// Its name.
        node: String,
        /// Trainings that failed there and not on another.
        failures: usize,
    },
    /// Two machines gave different results for the same training.
    ResultsDiffer {
        /// Their names.
        nodes: [String; 2],
    },
    /// Something that a person should know.
    Noted {
        /// What.
        what: String,
    },
}

impl fmt::Display for ClusterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentsAsked { agents } => write!(f, "{agents} agents asked for"),
            Self::AgentJoined { agent, node, slots, all_slots } => {
                write!(f, "agent {agent} on {node} trains {slots} at once, all together {all_slots}")
            }
            Self::AgentLost { agent, node, why, trainings: 0 } => write!(f, "agent {agent} on {node} has ended: {why}"),
            Self::AgentLost { agent, node, why, trainings } => {
                write!(f, "agent {agent} on {node} has ended: {why}; others get its {trainings} trainings")
            }
            Self::TriedElsewhere { node, why } => {
                write!(f, "a training failed on {node} and is tried on another machine: {why}")
            }
            Self::NodeExcluded { node, failures } => {
                write!(f, "{node} is not used any more: {failures} trainings failed there and succeeded elsewhere")
            }
            Self::ResultsDiffer { nodes: [one, other] } => {
                write!(f, "{one} and {other} gave different results for the same training; check their hardware")
            }
            Self::Noted { what } => f.write_str(what),
        }
    }
}
