//! What a build is shown as: names and numbers of vertices.

use super::event::{Event, VertexId};
use super::language::{Does, Instruction};

/// Gives vertices their numbers, and tells of them.
pub(super) struct Vertices<'a> {
    last: u32,
    report: &'a mut dyn FnMut(Event),
}

impl<'a> Vertices<'a> {
    /// None so far.
    pub(super) fn new(report: &'a mut dyn FnMut(Event)) -> Vertices<'a> {
        Vertices { last: 0, report }
    }

    /// One more.
    pub(super) fn declare(&mut self, name: impl Into<String>) -> VertexId {
        self.last += 1;
        let vertex = VertexId(self.last);
        (self.report)(Event::Declared { vertex, name: name.into() });
        vertex
    }

    /// Passes an event on.
    pub(super) fn tell(&mut self, event: Event) {
        (self.report)(event);
    }

    /// Does something that is one vertex.
    ///
    /// # Errors
    /// Those of `work`, which are told too.
    pub(super) fn during<T>(
        &mut self,
        name: impl Into<String>,
        work: impl FnOnce(VertexId, &mut dyn FnMut(Event)) -> crate::error::Result<T>,
    ) -> crate::error::Result<T> {
        let vertex = self.declare(name);
        self.tell(Event::Started(vertex));
        let done = work(vertex, self.report);
        self.tell(match &done {
            Ok(_) => Event::Done(vertex),
            Err(error) => Event::Failed(vertex, error.in_one_line()),
        });
        done
    }
}

/// The names of a stage's steps in BuildKit's form: `[build 2/5] RUN make`. The first is FROM's, where the stage starts
/// `from` an image. `None` for instructions that are no steps.
pub(super) fn names(
    stage: &str,
    from: Option<&str>,
    instructions: &[Instruction],
) -> (Option<String>, Vec<Option<String>>) {
    let is_step = |instruction: &Instruction| {
        matches!(instruction.does, Does::Run(_) | Does::Copy(_) | Does::Add(_) | Does::WorkDir(_))
    };
    let steps = instructions.iter().filter(|instruction| is_step(instruction)).count();
    let all = usize::from(from.is_some()) + steps;
    let width = all.to_string().len();
    let blank = if stage.is_empty() { "" } else { " " };
    let mut number = 1;
    let mut name = |text: &str| {
        let name = format!("[{stage}{blank}{number:>width$}/{all}] {text}");
        number += 1;
        name
    };
    let first = from.map(|from| name(&format!("FROM {from}")));
    let shown = |instruction: &Instruction| match &instruction.does {
        Does::Run(run) => run.shown(&instruction.original),
        _ => instruction.original.clone(),
    };
    let steps =
        instructions.iter().map(|instruction| is_step(instruction).then(|| name(&shown(instruction))));
    let steps = steps.collect();
    (first, steps)
}
