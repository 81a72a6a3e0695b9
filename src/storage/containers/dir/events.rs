//! The events of a container, and the names it is reported under.

use super::ContainerDir;
use crate::spec::ContainerSpec;
use crate::storage::events::{Action, Event, Events, Type};

impl ContainerDir {
    /// What a person calls the container: its name, or its short id when that is lost. For messages.
    pub fn called(&self) -> String {
        self.settings().map_or_else(|_| self.id.short().to_owned(), |settings| settings.name.to_string())
    }

    /// Something that happens to this container now, by its name, image and labels. To be called while its
    /// directory still stands.
    pub fn event(&self, action: Action) -> Event {
        self.event_of(self.spec().ok(), action)
    }

    /// As [`ContainerDir::event`], for a caller that has its plan.
    pub(super) fn event_of(&self, spec: Option<ContainerSpec>, action: Action) -> Event {
        let name = self.name_if_known(spec.as_ref());
        // The image and labels of an unreadable one are unknown.
        let (image, labels) = spec.map(|spec| (spec.image, spec.labels)).unwrap_or_default();
        let image = image.map(|image| image.reference).unwrap_or_default();
        let event = Event::new(Type::Container, action).id(self.id.as_str()).name(name).image(image);
        Event { attributes: labels, ..event }
    }

    /// Tells of something that happened to the container, by the name and the labels that it has.
    pub fn emit(&self, action: Action) {
        Events::new(&self.data).emit(self.event(action));
    }
}
