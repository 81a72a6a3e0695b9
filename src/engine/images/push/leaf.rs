//! The process that pushes: it reads blobs, compresses layers that have none, and sends them.
//!
//! Theory of operation. The leaf enters the user namespace while it is single-threaded, if trees have to be packed.
//! Blobs go first and side by side, the manifest last, so a name never means an image there that is not whole. What a
//! killed push has sent completely is found by its digest the next time; what it had begun is lost to the registry,
//! which does not say to a stranger how far an upload has come. Records come after the registry has said that it has
//! the manifest: of where the image is, and of what its layers have come to.

use super::blobs::{LayerBlob, Sending, Small};
use super::message::{Layer, Message};
use super::whole::{Pushed, Whole};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::fork::{self, Reporter};
use crate::image::Image;
use crate::registry::{Blob, Prepared, PushEvent, Pusher};
use crate::storage::Store;
use crate::storage::archive::{Descriptor, Outgoing, OutgoingForm};
use crate::userns;

/// Pushes in a leaf.
pub(super) fn push(
    store: &Store,
    prepared: &Prepared,
    whole: &Whole<'_>,
    form: OutgoingForm,
    report: &mut dyn FnMut(Message),
) -> Result<Pushed> {
    let mut outgoing = Vec::new();
    for image in whole.images {
        outgoing.push(Outgoing::new(store, image, form)?);
    }
    fork::tidy_leaf(
        "push",
        &[],
        |reporter, stop| {
            let packs = outgoing.iter().any(|image| image.needs_trees(store));
            let _member = packs.then(|| userns::enter(store.runtime())).transpose()?;
            if packs {
                store.verify_id_map()?;
            }
            let report = |event: PushEvent| reporter.send(Message::Layer(event));
            let stopped = || stop.came();
            let pusher = Pusher::open(prepared, &report, &stopped)?;
            work(store, &pusher, &outgoing, whole, reporter)
        },
        report,
    )
}

fn work(
    store: &Store,
    pusher: &Pusher<'_>,
    outgoing: &[Outgoing],
    whole: &Whole<'_>,
    reporter: &Reporter<Message>,
) -> Result<Pushed> {
    let name = pusher.reference().clone();
    let sending = Sending::new(store, name.registry().unwrap_or_default(), name.path());
    let mut manifests = Vec::new();
    for image in outgoing {
        let pushed = one(&sending, pusher, image, whole.index.is_none(), reporter)?;
        note(store, image.image(), &pushed);
        manifests.push(pushed);
    }
    let described = |(media_type, bytes, digest): &Manifest| {
        Descriptor::new(*media_type, digest.clone(), bytes.len() as u64)
    };
    let (media_type, size, digest) = match whole.index {
        Some(make) => {
            let descriptors: Vec<Descriptor> =
                manifests.iter().map(|made| described(&made.manifest)).collect();
            let (media_type, bytes) = make(&descriptors)?;
            reporter.send(Message::Manifest);
            let digest = pusher.manifest(&media_type, &bytes, true)?;
            (media_type, bytes.len() as u64, digest)
        }
        None => {
            let nothing = || Error::new(Kind::Usage, "there is nothing to push");
            let Descriptor { media_type, size, digest, .. } =
                described(&manifests.first().ok_or_else(nothing)?.manifest);
            (media_type, size, digest)
        }
    };
    Ok(Pushed { reference: name, digest, size, media_type })
}

/// Media type, bytes and digest.
type Manifest = (&'static str, Vec<u8>, crate::image::Digest);

/// An image that is in the registry.
struct Sent {
    manifest: Manifest,
    name: crate::image::Reference,
}

/// Sends one image.
fn one(
    sending: &Sending<'_>,
    pusher: &Pusher<'_>,
    image: &Outgoing,
    tagged: bool,
    reporter: &Reporter<Message>,
) -> Result<Sent> {
    let told = image.layers.iter().map(|layer| Layer {
        diff_id: layer.diff_id.0.clone(),
        digest: layer.digest().clone(),
        size: layer.size(),
    });
    reporter.send(Message::Layers(told.collect()));
    let blobs: Vec<LayerBlob<'_>> = image.layers.iter().map(|layer| LayerBlob { sending, layer }).collect();
    let blobs: Vec<&dyn Blob> = blobs.iter().map(|blob| blob as &dyn Blob).collect();
    let layers = pusher.blobs(0, &blobs).map_err(|e| explained(sending.store, image, e))?;
    failpoint::reach("push.layers");
    // It saves work the next time, and nothing else.
    if let Err(e) = image.remember(sending.store, &layers) {
        log::info!("the digests of compressed layers are not remembered: {}", e.in_one_line());
    }
    reporter.send(Message::Config(image.image().id.clone()));
    pusher.blobs(blobs.len(), &[&Small(&image.config)])?;
    let (bytes, media_type) = image.manifest(&layers)?;
    reporter.send(Message::Manifest);
    failpoint::reach("push.config");
    let digest = pusher.manifest(media_type, &bytes, tagged)?;
    failpoint::reach("push.manifest");
    Ok(Sent { manifest: (media_type, bytes, digest), name: pusher.reference().clone() })
}

/// Notes where an image is. It is there in any case.
fn note(store: &Store, image: &Image, sent: &Sent) {
    let (media_type, bytes, _) = &sent.manifest;
    let noted = store
        .shared()
        .and_then(|lock| store.images().note_pushed(&lock, &image.id, &sent.name, (media_type, bytes)));
    if let Err(e) = noted {
        log::warn!("the image was pushed, and that could not be noted: {}", e.in_one_line());
    }
}

/// The registry may refuse a blob because it is damaged here.
fn explained(store: &Store, image: &Outgoing, error: Error) -> Error {
    let is_damaged = |digest| store.blobs().has(digest) && !store.blobs().is_true(digest).unwrap_or(true);
    match image.layers.iter().find(|layer| error.kind() == Kind::Registry && is_damaged(layer.digest())) {
        Some(layer) => Error::new(Kind::Storage, format!("blob {} is damaged on disk", layer.digest()))
            .caused_by(error)
            .hint("Remove the image and pull it again: coracle rmi IMAGE && coracle pull IMAGE"),
        None => error,
    }
}
