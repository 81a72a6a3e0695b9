//! Text helpers shared by views, filters and log tags; pure.

mod boolean;
mod glob;
mod printable;
mod shell;
pub mod template;
pub mod time;
pub mod units;
mod yaml;

pub use boolean::boolean;
pub use glob::glob;
pub use printable::printable;
pub use shell::quoted;
pub use yaml::yaml;
