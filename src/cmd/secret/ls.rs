//! `coracle secret ls`.

use crate::cmd::options::listing::ListingOptions;
use crate::engine::filter::{Condition, all_hold};
use crate::error::Result;
use crate::host::Env;
use crate::storage::secrets::Secret;
use crate::ui::rows;
use crate::view::secret;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `secret ls`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable,
          mut_arg("filter", |arg| arg.help("Show secrets that match a condition: name (a regular expression) or id (a prefix)")),
          mut_arg("quiet", |arg| arg.help("Print only ids")))]
pub struct Args {
    /// Which, and how.
    #[command(flatten)]
    pub listing: ListingOptions,
}

const COLUMNS: [(&str, &str); 5] = [
    ("ID", "{{.ID}}"),
    ("NAME", "{{.Name}}"),
    ("DRIVER", "{{.Driver}}"),
    ("CREATED", "{{.CreatedAt}}"),
    ("UPDATED", "{{.UpdatedAt}}"),
];

/// Lists secrets.
///
/// # Errors
/// A wrong filter or format.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let filters = args.listing.filter.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>>>()?;
    let mut secrets = crate::cmd::store(env)?.secrets().list()?;
    secrets.retain(|secret| {
        let conditions = filters.iter().map(|filter| (filter.key(), filter));
        all_hold(conditions, |_| false, |filter| filter.holds(secret))
    });
    let format = args.listing.format.as_deref();
    let text = if args.listing.names_only() {
        secrets.iter().map(|secret| format!("{}\n", secret.id)).collect()
    } else {
        let list: Vec<Value> = secrets.iter().map(secret::row).collect();
        rows::rows(format, &list, &args.listing.table(&COLUMNS))?
    };
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

enum Filter {
    Name(regex::Regex),
    Id(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Filter> {
        let condition = Condition::parse(text, "Write name=PATTERN or id=BEGINNING.")?;
        match condition.key {
            "name" => condition.pattern().map(Filter::Name),
            "id" => Ok(Filter::Id(condition.value.to_owned())),
            _ => Err(condition.unknown_key()),
        }
    }

    fn key(&self) -> &'static str {
        match self {
            Filter::Name(_) => "name",
            Filter::Id(_) => "id",
        }
    }

    fn holds(&self, secret: &Secret) -> bool {
        match self {
            Filter::Name(pattern) => pattern.is_match(secret.name.as_str()),
            Filter::Id(start) => secret.id.starts_with(start.as_str()),
        }
    }
}
