//! Text helpers shared by views, filters and log tags; pure.

mod boolean;
pub mod csv;
pub mod document;
mod from_yaml;
mod glob;
mod path;
mod printable;
mod shell;
pub mod template;
pub mod time;
pub mod units;
mod yaml;

pub use boolean::boolean;
pub use document::{Differs, Document, Forms};
pub use from_yaml::from_yaml;
pub use glob::glob;
pub use path::{clean, clean_bytes};
pub use printable::{printable, steers};
pub use shell::quoted;
pub use yaml::yaml;
