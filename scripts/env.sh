# Sourced by the other scripts: finds cargo where rustup puts it.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export PATH
