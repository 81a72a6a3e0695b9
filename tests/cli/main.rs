//! The command line, end to end: the real binary, the real kernel, a real registry on loopback.
//! One module per verb or topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are tests: a panic is how they fail"
)]

#[path = "../common/mod.rs"]
mod common;

mod account;
mod arguments;
mod attack_archive;
mod attack_image;
mod attack_running;
mod attack_ways;
mod auto_update;
mod build;
mod commit;
mod cp;
mod cp_attack;
mod crash;
mod damage;
mod devices;
mod diff;
mod disk_usage;
mod docker;
mod documents;
mod endings;
mod entries;
mod events;
mod exec;
mod export;
mod handed_over;
mod harness;
mod health;
mod host;
mod hostile;
mod hostile_registry;
mod image_names;
mod images;
mod import;
mod inherited;
mod inspect;
mod kill;
mod limits;
mod login;
mod logs;
mod manifest;
mod manners;
mod monitor;
mod mount_order;
mod mounting;
mod mounts;
mod neighbours;
mod network;
mod networks;
mod networks_attack;
mod networks_docker;
mod networks_hints;
mod networks_live;
mod networks_options;
mod networks_records;
mod networks_scale;
mod notify;
mod overlay;
mod pages;
mod pasta;
mod pause;
mod phrases;
mod pods;
mod pods_ends;
mod pods_join;
mod port;
mod programs;
mod ps;
mod pull;
mod pull_credentials;
mod pull_faults;
mod push;
mod push_compression;
mod push_faults;
mod registries_conf;
mod reliability;
mod restart_policy;
mod rm;
mod run_options;
mod run_terminal;
mod save_load;
mod scp;
mod sctp;
mod search;
mod secret;
mod slow_drip;
mod soak;
mod spaces;
mod start;
mod stats;
mod stop;
mod store;
mod surroundings;
mod swap;
mod system;
mod top;
mod transports;
mod transports_others;
mod trust;
mod trust_files;
mod trust_races;
mod trust_sources;
mod update;
mod userns;
mod volume;
mod volume_archive;
mod wait;
mod window;
