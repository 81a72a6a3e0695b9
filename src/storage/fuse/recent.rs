//! A cache of descriptors of recently used files, of fixed size.

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The files used lately, the last one at the end; `K` says which file one is of.
#[derive(Debug)]
pub(super) struct Recent<K> {
    open: Vec<(K, Arc<OwnedFd>)>,
    most: usize,
}

impl<K> Recent<K> {
    pub(super) fn new(most: usize) -> Recent<K> {
        Recent { open: Vec::with_capacity(most), most }
    }

    pub(super) fn get(&mut self, is: impl Fn(&K) -> bool) -> Option<Arc<OwnedFd>> {
        let at = self.open.iter().rposition(|(of, _)| is(of))?;
        self.open[at..].rotate_left(1);
        self.open.last().map(|(_, fd)| fd.clone())
    }

    /// Keeps a descriptor; the least recently used one is dropped.
    pub(super) fn put(&mut self, of: K, fd: OwnedFd) -> Arc<OwnedFd> {
        if self.open.len() == self.most {
            self.open.remove(0);
        }
        let fd = Arc::new(fd);
        self.open.push((of, fd.clone()));
        fd
    }

    /// Closes those of a file.
    pub(super) fn drop_all(&mut self, are: impl Fn(&K) -> bool) {
        self.open.retain(|(of, _)| !are(of));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_long_is_closed() {
        let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let mut recent = Recent::new(2);
        let has = |recent: &mut Recent<u32>, wanted| recent.get(|of| *of == wanted).is_some();
        recent.put(0, file());
        recent.put(1, file());
        assert!(has(&mut recent, 0));
        recent.put(2, file());
        assert!(!has(&mut recent, 1));
        assert!(has(&mut recent, 0) && has(&mut recent, 2));
        recent.drop_all(|of| *of == 2);
        assert!(has(&mut recent, 0) && !has(&mut recent, 2));
    }
}
