//! Options shared by several verbs, and how they become requests.

pub(in crate::cmd) mod attached;
pub mod container;
pub mod creation;
pub mod destination;
pub mod devices;
pub(in crate::cmd) mod files;
pub mod health;
pub mod input;
pub(in crate::cmd) mod lines;
pub mod listing;
pub mod logging;
pub mod login;
pub mod pods;
pub mod pulling;
pub mod push_form;
pub mod pushing;
pub mod refused;
pub mod request;
pub mod resources;
pub(in crate::cmd) mod result_file;
pub mod selection;
pub mod source;
pub mod spaces;
pub mod switch;
#[cfg(test)]
mod tests;
pub mod transfer;
