//! `coracle network ls`.

use crate::cmd::options::listing::ListingOptions;
use crate::engine::networks::filter::Filters;
use crate::error::Result;
use crate::host::Env;
use crate::storage::networks::Users;
use crate::text::Document;
use crate::ui::rows::{self, Listing};
use crate::view::{Dialect, network};
use std::process::ExitCode;

/// Arguments of `network ls`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable,
          mut_arg("filter", |arg| arg.help("Show networks that match a condition: name, id, driver, label, scope, type, dangling or until")),
          mut_arg("quiet", |arg| arg.help("Print only names, in docker's dialect ids")))]
pub struct Args {
    /// Which, and how.
    #[command(flatten)]
    pub listing: ListingOptions,
    /// Do not shorten ids
    #[arg(long)]
    pub no_trunc: bool,
}

const PODMAN: [(&str, &str); 3] =
    [("NETWORK ID", "{{.ID}}"), ("NAME", "{{.Name}}"), ("DRIVER", "{{.Driver}}")];
const DOCKER: [(&str, &str); 4] =
    [("NETWORK ID", "{{.ID}}"), ("NAME", "{{.Name}}"), ("DRIVER", "{{.Driver}}"), ("SCOPE", "{{.Scope}}")];

/// Lists networks.
///
/// # Errors
/// A wrong filter or format, or networks that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let dialect = crate::cmd::dialect();
    let filters = Filters::parse(&args.listing.filter)?;
    let mut networks = store.networks().list()?;
    let users = if filters.ask_for_users() {
        crate::cmd::dialect::networks_kept_for().users(&store)?
    } else {
        Users::default()
    };
    networks.retain(|network| filters.hold(network, &users));
    let format = args.listing.format.as_deref();
    let json = rows::is_whole_json(format) && dialect == Dialect::Podman;
    let mut list: Vec<(String, Document)> = networks
        .iter()
        .map(|found| {
            let name = network::name(&found.name, dialect).to_owned();
            let row = if json {
                network::document(found, &[], dialect)
            } else {
                network::row(found, args.no_trunc, dialect)
            };
            (name, row)
        })
        .collect();
    if dialect == Dialect::Docker {
        for (name, driver) in network::MODES {
            if filters.hold_for(name, &network::id(name), driver) {
                list.push((name.to_owned(), network::mode_row(name, driver, args.no_trunc)));
            }
        }
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    let columns = if dialect == Dialect::Docker { &DOCKER[..] } else { &PODMAN[..] };
    let rows: Vec<Document> = list.into_iter().map(|(_, row)| row).collect();
    let (format, no_heading) = match (args.listing.names_only(), dialect) {
        (true, Dialect::Podman) => (Some("{{.Name}}"), true),
        (true, Dialect::Docker) => (Some("{{.ID}}"), true),
        _ => (if json { Some("json") } else { format }, args.listing.noheading),
    };
    let text = rows::rows(format, &rows, &Listing { columns, no_heading, ..Listing::default() })?;
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}
