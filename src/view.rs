//! Typed things as documents: JSON, as podman and docker show it.

pub mod event;
pub mod inspect;
pub mod version;
pub mod volume;

/// Whose form a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Podman's.
    #[default]
    Podman,
    /// Docker's.
    Docker,
}
