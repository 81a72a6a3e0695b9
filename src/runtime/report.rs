//! The events reported by the monitor and by the joiners of `exec`.

use super::relay::End;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::{Action, Event, Type};

/// Something that happens to the container now, by its plan and the name that it has by now.
pub(super) fn event(dir: &ContainerDir, plan: &ContainerSpec, action: Action) -> Event {
    let name = dir.name_given(plan);
    let image = plan.image.as_ref().map(|i| i.reference.as_str()).unwrap_or_default();
    let event = Event::new(Type::Container, action).id(plan.id.as_str()).name(name.as_str()).image(image);
    Event { attributes: plan.labels.clone(), ..event }
}

/// The payload runs; with `attached` somebody follows it from the beginning.
pub(super) fn started(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, attached: bool) {
    let init = event(dir, plan, Action::Init);
    let mut all = vec![init.clone(), Event { status: Action::Start, ..init.clone() }];
    if attached {
        all.push(Event { status: Action::Attach, ..init });
    }
    store.events().emit_all(&all);
}

/// The payload ended.
pub(super) fn died(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, end: End) {
    store.events().emit(event(dir, plan, Action::Died).code(end.code.into()));
}
