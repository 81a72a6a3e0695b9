//! Contexts and files from elsewhere: archives, git repositories, addresses.
