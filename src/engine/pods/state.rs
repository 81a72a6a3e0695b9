//! The states of pods.

use crate::container::Status;

/// The state of a pod, in podman's words; never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodState {
    /// None of its containers has run, or it has none.
    Created,
    /// Some of its containers run.
    Degraded,
    /// All of its containers have ended.
    Exited,
    /// All of its containers are paused.
    Paused,
    /// All of its containers run.
    Running,
    /// Some of its containers have ended, and none runs.
    Stopped,
    /// Some are paused, and none runs or has ended.
    Error,
}

impl PodState {
    /// What follows from how its containers stand (podman-pod-ps(1)).
    pub fn of(containers: impl Iterator<Item = Status>) -> PodState {
        let (mut all, mut running, mut paused, mut ended) = (0, 0, 0, 0);
        for status in containers {
            all += 1;
            match status {
                Status::Running => running += 1,
                Status::Paused => paused += 1,
                // It does not run, and what it did has ended.
                Status::Exited | Status::Crashed | Status::Restarting => ended += 1,
                Status::Created | Status::Starting => {}
            }
        }
        match (running, paused, ended) {
            _ if all == 0 => PodState::Created,
            (running, ..) if running == all => PodState::Running,
            (1.., ..) => PodState::Degraded,
            (_, paused, _) if paused == all => PodState::Paused,
            (_, _, ended) if ended == all => PodState::Exited,
            (_, _, 1..) => PodState::Stopped,
            (_, 1.., _) => PodState::Error,
            _ => PodState::Created,
        }
    }

    /// podman's word.
    pub fn as_str(self) -> &'static str {
        match self {
            PodState::Created => "Created",
            PodState::Degraded => "Degraded",
            PodState::Exited => "Exited",
            PodState::Paused => "Paused",
            PodState::Running => "Running",
            PodState::Stopped => "Stopped",
            PodState::Error => "Error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_from_the_containers() {
        use Status::{Created, Exited, Paused, Restarting, Running, Starting};
        for (containers, state) in [
            (&[][..], PodState::Created),
            (&[Created], PodState::Created),
            (&[Created, Starting], PodState::Created),
            (&[Running], PodState::Running),
            (&[Running, Running], PodState::Running),
            (&[Running, Exited], PodState::Degraded),
            (&[Running, Created], PodState::Degraded),
            (&[Running, Paused], PodState::Degraded),
            (&[Paused, Paused], PodState::Paused),
            (&[Exited, Exited], PodState::Exited),
            (&[Exited, Restarting], PodState::Exited),
            (&[Exited, Created], PodState::Stopped),
            (&[Exited, Paused], PodState::Stopped),
            (&[Paused, Created], PodState::Error),
        ] {
            assert_eq!(PodState::of(containers.iter().copied()), state, "{containers:?}");
        }
    }
}
