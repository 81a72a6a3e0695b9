//! What works otherwise than asked.

/// A warning, in podman's words and in docker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub(super) podman: String,
    /// `None` where docker says nothing.
    pub(super) docker: Option<String>,
}

impl Warning {
    /// As podman words it.
    pub fn podmans(&self) -> &str {
        &self.podman
    }

    /// As docker words it, if it does.
    pub fn dockers(&self) -> Option<&str> {
        self.docker.as_deref()
    }
}

impl From<String> for Warning {
    fn from(text: String) -> Self {
        Warning { docker: Some(text.clone()), podman: text }
    }
}

impl From<&str> for Warning {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
