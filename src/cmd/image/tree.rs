//! `coracle image tree`.

use crate::error::Result;
use crate::host::Env;
use crate::image::{ChainId, Reference};
use crate::storage::Store;
use crate::storage::images::Listed;
use crate::text::{printable, units};
use std::process::ExitCode;

/// Arguments of `image tree`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Show the images and layers built on top of this one
    #[arg(long)]
    pub whatrequires: bool,
}

/// Shows the layers of an image as a tree.
///
/// # Errors
/// An image that is not here.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let image = store.images().need(&args.image)?;
    let all = store.images().list()?;
    let own = all.iter().find(|listed| listed.image.id == image.id);
    let names: Vec<String> = own.into_iter().flat_map(|l| &l.names).map(Reference::to_string).collect();
    let mut text = format!(
        "Image ID: {}\nTags:     [{}]\nSize:     {}\n",
        image.id.short(),
        names.join(" "),
        units::decimal_size(own.map_or(0, |listed| listed.size))
    );
    match (args.whatrequires, image.layers.last()) {
        (true, Some(top)) => {
            text.push_str("Image Layers\n");
            let node = Node { store: &store, all: &all, chain: &image.layers };
            text.push_str(&format!("└── {}\n", node.label(top)));
            node.above(top, "    ", &mut text);
        }
        (false, Some(_)) => {
            text.push_str("Image Layers\n");
            let node = Node { store: &store, all: &all, chain: &image.layers };
            for (at, layer) in image.layers.iter().enumerate() {
                let branch = if at + 1 == image.layers.len() { "└──" } else { "├──" };
                text.push_str(&format!("{branch} {}\n", node.label(layer)));
            }
        }
        (_, None) => text.push_str("No Image Layers\n"),
    }
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What is needed to draw a layer.
struct Node<'a> {
    store: &'a Store,
    all: &'a [Listed],
    chain: &'a [ChainId],
}

impl Node<'_> {
    fn label(&self, layer: &ChainId) -> String {
        let size = self.store.layers().record(layer).map_or(0, |record| record.size);
        let tops = self.all.iter().filter(|listed| listed.image.layers.last() == Some(layer));
        let names: Vec<String> = tops.flat_map(|l| &l.names).map(Reference::to_string).collect();
        let mut text = format!("ID: {} Size: {:>7}", layer.0.short(), units::decimal_size(size));
        if !names.is_empty() {
            text.push_str(&format!(" Top Layer of: [{}]", names.join(" ")));
        }
        printable(&text).into_owned()
    }

    /// The layers directly on top of this one, and those on top of them.
    fn above(&self, layer: &ChainId, indent: &str, text: &mut String) {
        let depth = self.all.iter().filter_map(|listed| {
            let layers = &listed.image.layers;
            let at = layers.iter().position(|l| l == layer)?;
            layers.get(at + 1)
        });
        let mut next: Vec<&ChainId> = depth.filter(|l| !self.chain.contains(l)).collect();
        next.sort();
        next.dedup();
        for (at, layer) in next.iter().enumerate() {
            let last = at + 1 == next.len();
            text.push_str(&format!("{indent}{} {}\n", if last { "└──" } else { "├──" }, self.label(layer)));
            self.above(layer, &format!("{indent}{}", if last { "    " } else { "│   " }), text);
        }
    }
}
