//! The descriptor-based mount interface: open_tree, fsopen, mount_setattr and friends.
