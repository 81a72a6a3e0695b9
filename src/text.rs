//! Text in and out, as views, filters and log tags share it: pure helpers.

mod glob;
mod printable;
pub mod template;
pub mod time;
pub mod units;
mod yaml;

pub use glob::glob;
pub use printable::printable;
pub use yaml::yaml;
