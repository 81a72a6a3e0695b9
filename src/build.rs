//! Building images from Containerfiles.
//!
//! Front ends call this room as they call the engine: with a typed request and a callback for what is to be
//! shown. Nothing here uses command line options, standard streams, the current directory or exit codes.
//!
//! ```text
//! text of a Containerfile
//!   -> language::parse        a Containerfile: stages of instructions, words not expanded yet
//!   -> graph                  the stages that the target needs, and what each needs of others
//!   -> stage                  one process per stage: expands words, asks the cache, works off what it lacks
//!        files                COPY and ADD: what is selected, its digest, writing it
//!        sources              contexts and files from elsewhere: archives, git, http
//!        steps                RUN as a container of ours; COPY, ADD and WORKDIR on a mounted root
//!   -> image                  configuration and manifest over layers that are in the store already
//! ```

pub mod event;
pub mod files;
pub mod language;
pub mod request;
pub mod sources;
