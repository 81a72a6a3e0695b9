//! What the listings of networks, volumes and secrets have in common.

use crate::ui::rows::Listing;

/// Options of `network ls`, `volume ls` and `secret ls`. Which conditions there are, and what is printed alone, each says
/// itself.
#[derive(Debug, Default, clap::Args)]
pub struct ListingOptions {
    /// Show those that match a condition
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub filter: Vec<String>,
    /// Print as table, json or a Go template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Omit the header line
    #[arg(short, long)]
    pub noheading: bool,
    /// Print only names
    #[arg(short, long)]
    pub quiet: bool,
}

impl ListingOptions {
    /// Whether names or ids alone are printed: a format says otherwise.
    pub fn names_only(&self) -> bool {
        self.quiet && self.format.is_none()
    }

    /// A table with these columns.
    pub fn table<'a>(&self, columns: &'a [(&'a str, &'a str)]) -> Listing<'a> {
        Listing { columns, no_heading: self.noheading, ..Listing::default() }
    }
}
