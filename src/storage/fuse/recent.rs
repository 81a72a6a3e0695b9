//! Descriptors of files that were used lately, a fixed number of them.

use super::tree::Place;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The files used lately, the last one at the end.
#[derive(Debug)]
pub(super) struct Recent {
    open: Vec<(Arc<Place>, Arc<OwnedFd>)>,
    most: usize,
}

impl Recent {
    pub(super) fn new(most: usize) -> Recent {
        Recent { open: Vec::with_capacity(most), most }
    }

    pub(super) fn get(&mut self, place: &Arc<Place>) -> Option<Arc<OwnedFd>> {
        let at = self.open.iter().rposition(|(of, _)| Arc::ptr_eq(of, place))?;
        self.open[at..].rotate_left(1);
        self.open.last().map(|(_, fd)| fd.clone())
    }

    /// Keeps a descriptor; the one that was not used for the longest time makes room.
    pub(super) fn put(&mut self, place: &Arc<Place>, fd: OwnedFd) -> Arc<OwnedFd> {
        if self.open.len() == self.most {
            self.open.remove(0);
        }
        let fd = Arc::new(fd);
        self.open.push((place.clone(), fd.clone()));
        fd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_long_is_closed() {
        let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let places: Vec<Arc<Place>> = (0..3).map(|at| Arc::new(Place::Layer(at))).collect();
        let mut recent = Recent::new(2);
        recent.put(&places[0], file());
        recent.put(&places[1], file());
        assert!(recent.get(&places[0]).is_some());
        recent.put(&places[2], file());
        assert!(recent.get(&places[1]).is_none());
        assert!(recent.get(&places[0]).is_some() && recent.get(&places[2]).is_some());
        // The same layer, but another node.
        assert!(recent.get(&Arc::new(Place::Layer(2))).is_none());
    }
}
