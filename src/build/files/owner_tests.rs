//! Whom written files belong to, as root of a namespace with many ids.

use super::*;
use crate::build::files::selection::Select;
use crate::build::files::unpack_archive;
use crate::error::Kind as Failed;
use crate::runtime::inside::in_namespaces;
use crate::sys::xattr;
use std::fs::{self, Permissions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

/// `struct vfs_cap_data`, revision 2, with CAP_NET_BIND_SERVICE permitted.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn owner(path: &Path) -> (u32, u32, u32) {
    let status = fs::symlink_metadata(path).unwrap();
    (status.uid(), status.gid(), status.mode() & 0o7777)
}

fn write(owners: Owners, from: &Path, to: &Path, how: &Write) -> Result<Written> {
    let tree = Tree { root: File::open(from).unwrap().into(), ignore: None, owners };
    let root = File::open(to).unwrap();
    let selection = Selection::find(&tree, &["d".into()], &Select::default()).unwrap();
    selection.write(&Destination::new(root.as_fd(), "/", "/made/out"), how)
}

#[test]
fn files_belong_to_whom_they_should() {
    in_namespaces("files_belong_to_whom_they_should", || {
        let place = tempfile::tempdir().unwrap();
        let from = place.path().join("from");
        fs::create_dir_all(from.join("d/sub")).unwrap();
        fs::write(from.join("d/tool"), "x").unwrap();
        symlink("tool", from.join("d/link")).unwrap();
        let tool = File::open(from.join("d/tool")).unwrap();
        for path in ["d/sub", "d/tool", "d/link"] {
            lchown(from.join(path), Some(5), Some(6)).unwrap();
        }
        fs::set_permissions(from.join("d/tool"), Permissions::from_mode(0o6755)).unwrap();
        fs::set_permissions(from.join("d/sub"), Permissions::from_mode(0o2775)).unwrap();
        xattr::set(tool.as_fd(), c"security.capability", &CAPABILITY).unwrap();
        let to = |name: &str| {
            let to = place.path().join(name);
            fs::create_dir_all(&to).unwrap();
            // What is made in such a directory gets its group unless somebody says otherwise.
            chown(&to, Some(0), Some(9)).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o2755)).unwrap();
            to
        };
        let check = |to: &Path, made: (u32, u32), ids: (u32, u32)| {
            assert_eq!(owner(&to.join("made")), (made.0, made.1, 0o755));
            assert_eq!(owner(&to.join("made/out")), (made.0, made.1, 0o755));
            assert_eq!(owner(&to.join("made/out/tool")), (ids.0, ids.1, 0o6755));
            assert_eq!(owner(&to.join("made/out/sub")), (ids.0, ids.1, 0o2775));
            assert_eq!(owner(&to.join("made/out/link")), (ids.0, ids.1, 0o777));
            let copied = File::open(to.join("made/out/tool")).unwrap();
            assert_eq!(xattr::get(copied.as_fd(), c"security.capability").unwrap().unwrap(), CAPABILITY);
        };
        write(Owners::Root, &from, &to("context"), &Write::default()).unwrap();
        check(&to("context"), (0, 0), (0, 0));
        write(Owners::Kept, &from, &to("stage"), &Write::default()).unwrap();
        check(&to("stage"), (0, 0), (5, 6));
        let chosen = Write { owner: Some((300, 400)), ..Write::default() };
        write(Owners::Kept, &from, &to("chosen"), &chosen).unwrap();
        check(&to("chosen"), (300, 400), (300, 400));
        let outside = Write { owner: Some((4_000_000_000, 0)), ..Write::default() };
        let refused = write(Owners::Kept, &from, &to("outside"), &outside).unwrap_err();
        assert_eq!((refused.kind(), refused.hints().len()), (Failed::Host, 1), "{}", refused.in_one_line());
    });
}

#[test]
fn archives_have_owners_of_their_own() {
    in_namespaces("archives_have_owners_of_their_own", || {
        let place = tempfile::tempdir().unwrap();
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o4711);
        header.set_uid(7);
        header.set_gid(8);
        builder.append_data(&mut header, "tool", &b"x"[..]).unwrap();
        let mut archive = builder.into_inner().unwrap();
        let root = File::open(place.path()).unwrap();
        let mut unpack = |to: &str, how: &Write| {
            archive.seek(SeekFrom::Start(0)).unwrap();
            let to = Destination::new(root.as_fd(), "/", to);
            unpack_archive(&to, archive.try_clone().unwrap(), how).unwrap();
        };
        unpack("/theirs", &Write::default());
        assert_eq!(owner(&place.path().join("theirs/tool")), (7, 8, 0o4711));
        assert_eq!(owner(&place.path().join("theirs")), (0, 0, 0o755));
        unpack("/chosen", &Write { owner: Some((1, 2)), ..Write::default() });
        assert_eq!(owner(&place.path().join("chosen/tool")), (1, 2, 0o4711));
        assert_eq!(owner(&place.path().join("chosen")), (1, 2, 0o755));
    });
}
