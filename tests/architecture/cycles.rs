//! Inside a room, too, files name each other in one direction only: who reads one needs to know what is below it,
//! and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::graph::{Edges, edges};
use crate::source::{File, program, tokens};

/// A parent may re-export what its children hold; whoever names that names the child.
#[test]
fn no_room_has_a_cycle_of_files() {
    let files = program();
    let edges = edges(&files);
    let mut wrong = Vec::new();
    let rooms: BTreeSet<&str> = files.iter().map(File::room).collect();
    for room in rooms {
        let inside: Vec<usize> =
            (0..files.len()).filter(|n| files[*n].room() == room && !files[*n].test).collect();
        let cycles = cycles(&inside, &edges);
        let count: usize = cycles.iter().map(Vec::len).sum();
        println!("{room}: {count} of {} files in {} cycles", inside.len(), cycles.len());
        for members in cycles {
            wrong.push(format!(
                "{room}: {} files, such as\n{}",
                members.len(),
                shortest(&members, &edges, &files)
            ));
        }
    }
    assert!(wrong.is_empty(), "these files name each other in a circle:\n{}\n", wrong.join("\n"));
}

/// The sets of more than one file in which each leads to each.
fn cycles(files: &[usize], edges: &Edges) -> Vec<Vec<usize>> {
    let reach: BTreeMap<usize, BTreeSet<usize>> =
        files.iter().map(|n| (*n, reached(*n, files, edges))).collect();
    let mut found: Vec<Vec<usize>> = Vec::new();
    for from in files {
        let members: Vec<usize> =
            files.iter().copied().filter(|to| reach[from].contains(to) && reach[to].contains(from)).collect();
        if !members.is_empty() && !found.contains(&members) {
            found.push(members);
        }
    }
    found
}

fn reached(from: usize, files: &[usize], edges: &Edges) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for (_, to) in edges.range((at, 0)..(at + 1, 0)).map(|(step, _)| *step) {
            if files.contains(&to) && found.insert(to) {
                open.push(to);
            }
        }
    }
    found
}

/// The shortest circle among `members`, one line for each step.
fn shortest(members: &[usize], edges: &Edges, files: &[File]) -> String {
    let circles = members.iter().filter_map(|start| {
        let mut before: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open = VecDeque::from([*start]);
        while let Some(at) = open.pop_front() {
            for to in members.iter().filter(|to| edges.contains_key(&(at, **to))) {
                if !before.contains_key(to) {
                    before.insert(*to, at);
                    open.push_back(*to);
                }
            }
        }
        let mut circle = vec![*start];
        let mut at = *before.get(start)?;
        while at != *start {
            circle.push(at);
            at = before[&at];
        }
        circle.push(*start);
        circle.reverse();
        Some(circle)
    });
    let circle = circles.min_by_key(Vec::len).unwrap_or_default();
    let steps = circle.windows(2).map(|step| {
        let items = edges[&(step[0], step[1])].join(", ");
        format!("  {} -> {}: {items}", files[step[0]].path, files[step[1]].path)
    });
    steps.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reader_of_names_resolves_them() {
    let file = |module: &str, text: &str| File {
        path: format!("{module}.rs"),
        module: module.split("::").map(str::to_owned).collect(),
        test: false,
        tokens: tokens(text),
        documented: true,
    };
    let named = |texts: &[(&str, &str)]| -> Vec<String> {
        let files: Vec<File> = texts.iter().map(|(module, text)| file(module, text)).collect();
        let steps = edges(&files);
        steps
            .keys()
            .map(|(a, b)| format!("{} -> {}", files[*a].module.join("::"), files[*b].module.join("::")))
            .collect()
    };
    let leaf = ("a::leaf", "pub struct Leaf; pub fn grow() {}");
    // A parent that re-exports only names nothing; who goes through it names the child.
    let parent = ("a", "mod leaf; mod user; pub use leaf::{Leaf, grow};");
    assert_eq!(named(&[parent, leaf, ("a::user", "use super::Leaf;")]), ["a::user -> a::leaf"]);
    assert_eq!(named(&[parent, leaf, ("a::user", "fn f() { crate::a::grow() }")]), ["a::user -> a::leaf"]);
    assert_eq!(
        named(&[parent, leaf, ("a::user", "use super::leaf; fn f() { leaf::grow() }")]),
        ["a::user -> a::leaf"]
    );
    assert_eq!(named(&[parent, leaf, ("a::user", "use super::leaf;")]), [""; 0]);
    // One that uses what it re-exports, or what it imports, names it.
    let using = ("a", "mod leaf; pub(crate) use leaf::Leaf; fn f(leaf: Leaf) {}");
    assert_eq!(named(&[using, leaf]), ["a -> a::leaf"]);
    assert_eq!(named(&[("a", "mod leaf; fn f() { self::leaf::grow() }"), leaf]), ["a -> a::leaf"]);
    assert_eq!(named(&[("a", "mod leaf; fn f() { leaf::grow() }"), leaf]), ["a -> a::leaf"]);
    assert_eq!(named(&[("a", "mod leaf; use leaf::*; fn f() { grow() }"), leaf]), ["a -> a::leaf"]);
    // Renamed, and several steps up.
    let deep = ("a::user::deep", "use super::super::leaf::Leaf as L; fn f() { L::new() }");
    assert_eq!(named(&[parent, leaf, ("a::user", "mod deep;"), deep]), ["a::user::deep -> a::leaf"]);
    // Tests, fields, methods, and names of its own.
    let tested =
        ("a", "mod leaf; #[cfg(test)] mod tests { use super::leaf::Leaf; } #[cfg(test)] use leaf::grow;");
    assert_eq!(named(&[tested, leaf]), [""; 0]);
    let methods = ("a", "mod leaf; pub use leaf::grow; struct S { grow: u8 } fn f(s: S) { s.grow() }");
    assert_eq!(named(&[methods, leaf]), [""; 0]);
    let declared = ("a", "mod leaf; pub use leaf::grow; struct S; impl S { fn grow() { let grow = 1; } }");
    assert_eq!(named(&[declared, leaf]), [""; 0]);
    let own = ("a", "mod leaf; struct Leaf; enum E { V } fn f() -> Leaf { E::V }");
    assert_eq!(named(&[own, leaf]), [""; 0]);
    let made = ("a", "mod leaf; make! { pub enum E { V } }");
    assert_eq!(named(&[made, ("a::leaf", "use super::E;")]), ["a::leaf -> a"]);
    // A method lives where it is declared, as far as the type is plain to see.
    let parts = ("a", "mod leaf; mod more; struct S; impl S { fn f(&self) { self.g() } }");
    let more = ("a::more", "use super::S; impl S { fn g(&self) {} fn h() { Self::f(); S::g() } }");
    assert_eq!(named(&[parts, more]), ["a -> a::more", "a::more -> a"]);
    let of_trait = ("a::more", "use super::S; impl Clone for S { fn g(&self) {} }");
    assert_eq!(named(&[parts, of_trait]), ["a::more -> a"]);
    let generic = ("a::more", "impl<R: Read> super::S<R> { fn g(&self) {} }");
    assert_eq!(named(&[parts, generic]), ["a -> a::more", "a::more -> a"]);
    // A variant, or what belongs to a type, lives with it.
    let up = ("a", "mod leaf; pub enum E { V }");
    assert_eq!(named(&[up, ("a::leaf", "use super::E::V;")]), ["a::leaf -> a"]);
}
