//! Opens the store that the command line names, and gives it to the engine.

use crate::engine::Engine;
use crate::engine::images::aliases::aliases;
use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;
use crate::ui;

/// The store the command line means.
pub(super) fn store(env: &Env) -> Result<Store> {
    let store = Store::open(&env.roots.data, &env.roots.runtime, &env.roots.image_stores)?;
    let aliases = aliases(&env.roots.config, env.roots.docker.as_deref());
    Ok(store.overlaid_by(env.roots.overlay).with_aliases(aliases))
}

/// The engine, which works on this store.
pub(super) fn engine<'a>(store: &'a Store, env: &'a Env) -> Engine<'a> {
    let (docker, daemon) = (env.roots.docker.as_deref(), env.roots.daemon.as_deref());
    let choose = ui::can_choose().then_some(ui::choose_image as _);
    let network = env.network.as_ref();
    Engine { store, config: &env.roots.config, docker, daemon, network, accelerate: env.accelerate, choose }
}
