//! `coracle volume ls`.

use crate::cmd::options::listing::ListingOptions;
use crate::engine::volumes::filter::Filters;
use crate::error::Result;
use crate::host::Env;
use crate::storage::volumes::{Users, Volume};
use crate::text::Document;
use crate::ui::rows;
use crate::view::Dialect;
use crate::view::volume;
use std::process::ExitCode;

/// Arguments of `volume ls`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable,
          mut_arg("filter", |arg| arg.help("Show volumes that match a condition: name, label, opt, driver, scope, dangling, anonymous, until or since")))]
pub struct Args {
    /// Which, and how.
    #[command(flatten)]
    pub listing: ListingOptions,
}

const COLUMNS: [(&str, &str); 2] = [("DRIVER", "{{.Driver}}"), ("VOLUME NAME", "{{.Name}}")];

/// Lists volumes.
///
/// # Errors
/// A wrong filter or format, or volumes that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let filters = Filters::parse(&args.listing.filter)?;
    let mut volumes = store.volumes().list()?;
    // Reading every container's plan takes most of the time, and plain volumes can do without.
    let told_by_users = filters.ask_for_users() || volumes.iter().any(Volume::has_mount_of_its_own);
    let users = if told_by_users { Users::read(store.containers())? } else { Users::default() };
    volumes.retain(|volume| filters.hold(volume, &users));
    let format = args.listing.format.as_deref();
    let text = if args.listing.names_only() {
        volumes.iter().map(|volume| format!("{}\n", volume.name)).collect()
    } else {
        let dialect = crate::cmd::dialect();
        let json = rows::is_whole_json(format) && dialect == Dialect::Podman;
        let show = if json { volume::document } else { volume::row };
        let list: Vec<Document> =
            volumes.iter().map(|volume| show(&store, volume, &users, dialect)).collect();
        rows::rows(if json { Some("json") } else { format }, &list, &args.listing.table(&COLUMNS))?
    };
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}
