//! Which files of the program name items that live in which others: names are resolved as the compiler does,
//! through imports and re-exports, to the file that defines the item.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::methods::{Block, blocks};
use crate::source::{File, Leaf, Token, double_colon, tokens, use_tree, word};

/// Words that begin the declaration of an item; the next word is its name.
const DECLARE: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

/// How often a name may stand for another before the search ends.
const DEPTH_MAX: usize = 16;

type Path = Vec<String>;

/// What a name in a module stands for.
enum Meaning {
    Item { file: usize },
    Module(Path),
    Import(Path),
}

#[derive(Default)]
struct Module {
    names: HashMap<String, Vec<Meaning>>,
    globs: Vec<Path>,
}

/// A path as it stands in a file, in the module around it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mention {
    module: Path,
    words: Path,
    place: Place,
}

#[derive(PartialEq)]
enum Brace {
    Module,
    Macro,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Import,
    /// `pub use`, in any of its forms.
    Export,
    Code,
}

/// For two files, by their numbers, the items of the second that the first names.
pub(crate) type Edges = BTreeMap<(usize, usize), Vec<String>>;

/// Reads all of `files`; those of tests have no edges.
pub(crate) fn edges(files: &[File]) -> Edges {
    let mut names = Names::default();
    // Once each: most are made again and again.
    let mut mentions = BTreeSet::new();
    let mut impls = Vec::new();
    for (number, file) in files.iter().enumerate().filter(|(_, f)| !f.test) {
        let tokens = without_tests(&file.tokens);
        mentions.extend(names.read(number, file, &tokens).into_iter().map(|mention| (number, mention)));
        impls.extend(blocks(&tokens).into_iter().map(|block| (number, block)));
    }
    let methods = Methods::of(&names, files, &impls);
    let mut found = Edges::new();
    let mut add = |from: usize, to: usize, item: String| {
        let items = found.entry((from, to)).or_default();
        if to != from && !items.contains(&item) {
            items.push(item);
        }
    };
    for (from, mention) in mentions {
        for to in names.files(&mention) {
            let exported =
                mention.place == Place::Export && files[to].module.starts_with(&files[from].module);
            if !exported {
                add(from, to, mention.words.join("::"));
            }
        }
        if let Some((of, method)) = names.method(&mention) {
            for to in methods.files(from, &of, &method) {
                add(from, to, mention.words.join("::"));
            }
        }
    }
    for (from, block) in &impls {
        let Some(of) = names.type_of(&files[*from].module, &block.of) else { continue };
        for method in &block.called {
            for to in methods.files(*from, &of, method) {
                add(*from, to, format!("{}::{method}", of.1));
            }
        }
    }
    found.retain(|_, items| !items.is_empty());
    found
}

/// A type: the file that defines it, and its name there.
type Type = (usize, String);

/// The methods of types, each with the files that declare one of that name.
struct Methods {
    files: HashMap<(Type, String), HashSet<usize>>,
}

impl Methods {
    fn of(names: &Names, files: &[File], impls: &[(usize, Block)]) -> Methods {
        let mut all: HashMap<(Type, String), HashSet<usize>> = HashMap::new();
        for (number, block) in impls.iter().filter(|(_, block)| !block.of_trait) {
            let Some(of) = names.type_of(&files[*number].module, &block.of) else { continue };
            for method in &block.declared {
                all.entry((of.clone(), method.clone())).or_default().insert(*number);
            }
        }
        Methods { files: all }
    }

    /// Where a method lives that is called in a file which does not declare it itself.
    fn files(&self, from: usize, of: &Type, method: &str) -> Vec<usize> {
        let declared = self.files.get(&(of.clone(), method.to_owned()));
        declared.filter(|files| !files.contains(&from)).into_iter().flatten().copied().collect()
    }
}

/// What the modules of the program call by which name.
#[derive(Default)]
struct Names {
    modules: HashMap<Path, Module>,
}

impl Names {
    /// Takes in what a file declares and imports; returns the paths that it mentions.
    fn read(&mut self, number: usize, file: &File, tokens: &[Token]) -> Vec<Mention> {
        self.add(&[], &file.module[0], Meaning::Module(vec![file.module[0].clone()]));
        self.modules.entry(file.module.clone()).or_default();
        let mut mentions = Vec::new();
        // Around the place: the inline modules, the calls of macros, which may make items, and the other braces.
        let mut braces: Vec<Brace> = Vec::new();
        let mut at = 0;
        let mut module = file.module.clone();
        while at < tokens.len() {
            let next = word(tokens.get(at + 1));
            match &tokens[at] {
                Token::Mark('{') => {
                    let call =
                        at >= 2 && tokens[at - 1] == Token::Mark('!') && word(tokens.get(at - 2)).is_some();
                    braces.push(if call { Brace::Macro } else { Brace::Other });
                }
                Token::Mark('}') => {
                    if let Some(Brace::Module) = braces.pop() {
                        module.pop();
                    }
                }
                Token::Word(keyword) if keyword == "use" && tokens.get(at + 1) != Some(&Token::Mark('<')) => {
                    let public = at > 0
                        && (tokens[at - 1] == Token::Mark(')') || word(tokens.get(at - 1)) == Some("pub"));
                    let place = if public { Place::Export } else { Place::Import };
                    at = self.import(tokens, at + 1, &module, &mut |words| {
                        mentions.push(Mention { module: module.clone(), words, place });
                    });
                    continue;
                }
                Token::Word(keyword) if keyword == "mod" && next.is_some() => {
                    let name = next.unwrap_or_default().to_owned();
                    let path = [module.clone(), vec![name.clone()]].concat();
                    self.modules.entry(path.clone()).or_default();
                    self.add(&module, &name, Meaning::Module(path));
                    at += 2;
                    if tokens.get(at) == Some(&Token::Mark('{')) {
                        braces.push(Brace::Module);
                        module.push(name);
                        at += 1;
                    }
                    continue;
                }
                Token::Word(keyword) if DECLARE.contains(&keyword.as_str()) => {
                    let outside = !braces.contains(&Brace::Other);
                    if let Some(name) = next.filter(|_| outside) {
                        self.add(&module, name, Meaning::Item { file: number });
                    }
                }
                Token::Word(_) => {
                    let words = path_at(tokens, at);
                    if !words.is_empty() {
                        mentions.push(Mention { module: module.clone(), words, place: Place::Code });
                    }
                }
                _ => {}
            }
            at += 1;
        }
        mentions
    }

    fn add(&mut self, module: &[String], name: &str, meaning: Meaning) {
        let names = &mut self.modules.entry(module.to_vec()).or_default().names;
        names.entry(name.to_owned()).or_default().push(meaning);
    }

    /// Takes in the use tree at `at`; returns the place after it.
    fn import(
        &mut self,
        tokens: &[Token],
        at: usize,
        module: &[String],
        mention: &mut dyn FnMut(Path),
    ) -> usize {
        use_tree(tokens, at, &[], &mut |mut path, leaf| {
            if path.len() > 1 && path.last().is_some_and(|part| part == "self") {
                path.pop();
            }
            // A relative one begins with a name of this module, or with another crate's.
            let full = absolute(module, &path).unwrap_or_else(|| [module, &path].concat());
            match leaf {
                Leaf::All => self.modules.entry(module.to_vec()).or_default().globs.push(full),
                Leaf::Name(renamed) => {
                    let name = renamed.or_else(|| path.last().cloned());
                    if let Some(name) = name.filter(|_| path.len() > 1) {
                        self.add(module, &name, Meaning::Import(full));
                    }
                    mention(path);
                }
                Leaf::Other => {}
            }
        })
    }

    /// The files in which that lives what is mentioned.
    fn files(&self, mention: &Mention) -> Vec<usize> {
        let Mention { module, words, .. } = mention;
        let path = match absolute(module, words) {
            Some(path) => path,
            None if self.knows(module, &words[0]) => [&module[..], words].concat(),
            None => return Vec::new(),
        };
        self.resolve(&path, 0).1.into_iter().collect()
    }

    /// Whether a word may be a name in a module: most are not.
    fn knows(&self, module: &Path, word: &str) -> bool {
        self.modules.get(module).is_some_and(|m| m.names.contains_key(word) || !m.globs.is_empty())
    }

    /// The type that a path stands for in a module.
    fn type_of(&self, module: &[String], words: &[String]) -> Option<Type> {
        let path = absolute(module, words).unwrap_or_else(|| [module, words].concat());
        let file = self.resolve(&path, 0).1.into_iter().next()?;
        Some((file, words.last()?.clone()))
    }

    /// The type and the method of it that are mentioned, if they are.
    fn method(&self, mention: &Mention) -> Option<(Type, String)> {
        let (method, of) = mention.words.split_last()?;
        let starts = of.last()?.starts_with(char::is_uppercase);
        Some((self.type_of(&mention.module, of).filter(|_| starts)?, method.clone()))
    }

    /// The modules and the files with items that an absolute path stands for.
    fn resolve(&self, path: &[String], depth: usize) -> (HashSet<Path>, HashSet<usize>) {
        let mut modules = HashSet::from([Path::new()]);
        let mut items = HashSet::new();
        if depth > DEPTH_MAX {
            return (HashSet::new(), items);
        }
        for name in path {
            let mut inner = HashSet::new();
            items.clear();
            for module in &modules {
                let (more, files) = self.look_up(module, name, depth);
                inner.extend(more);
                items.extend(files);
            }
            if inner.is_empty() {
                // Whatever comes after an item (a variant, a constant of a type) lives with it.
                return (inner, items);
            }
            modules = inner;
        }
        (modules, items)
    }

    fn look_up(&self, module: &Path, name: &str, depth: usize) -> (HashSet<Path>, HashSet<usize>) {
        let (mut modules, mut items) = (HashSet::new(), HashSet::new());
        let Some(scope) = self.modules.get(module) else { return (modules, items) };
        for meaning in scope.names.get(name).into_iter().flatten() {
            match meaning {
                Meaning::Item { file } => {
                    items.insert(*file);
                }
                Meaning::Module(path) => {
                    modules.insert(path.clone());
                }
                Meaning::Import(path) => {
                    let (more, files) = self.resolve(path, depth + 1);
                    modules.extend(more);
                    items.extend(files);
                }
            }
        }
        if modules.is_empty() && items.is_empty() {
            for glob in &scope.globs {
                let (more, files) = self.resolve(&[&glob[..], &[name.to_owned()]].concat(), depth + 1);
                modules.extend(more);
                items.extend(files);
            }
        }
        (modules, items)
    }
}

/// The words of the path that begins at `at`; none if that is the middle of one, a method, a field, or says who may
/// see an item.
fn path_at(tokens: &[Token], at: usize) -> Path {
    let before = at.checked_sub(1).map(|b| &tokens[b]);
    let middle = at >= 2 && double_colon(tokens, at - 2);
    let visibility = at >= 2 && word(tokens.get(at - 1)) == Some("in") && tokens[at - 2] == Token::Mark('(');
    let declared = word(before).is_some_and(|before| before == "let" || DECLARE.contains(&before));
    if middle
        || visibility
        || declared
        || before == Some(&Token::Mark('.'))
        || before == Some(&Token::Mark('\''))
    {
        return Path::new();
    }
    let mut words = Path::new();
    let mut next = at;
    while let Some(part) = word(tokens.get(next)) {
        words.push(part.to_owned());
        if !double_colon(tokens, next + 1) {
            break;
        }
        next += 3;
    }
    // A field, an argument or a variable with its type: a new name, not one in use.
    let new = words.len() == 1 && tokens.get(at + 1) == Some(&Token::Mark(':'));
    let nothing = matches!(words.last().map(String::as_str), Some("crate" | "self" | "super"));
    if new || nothing { Path::new() } else { words }
}

/// The path from the crate's root, if it begins with `crate`, `self` or `super`.
fn absolute(module: &[String], path: &[String]) -> Option<Path> {
    let mut base = match path.first()?.as_str() {
        "crate" | "coracle" => Path::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    for part in &path[1..] {
        if part == "super" {
            base.pop();
        } else {
            base.push(part.clone());
        }
    }
    Some(base)
}

/// The tokens without what stands behind `#[cfg(test)]`.
fn without_tests(all: &[Token]) -> Vec<Token> {
    let gate = tokens("#[cfg(test)]");
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if !all[at..].starts_with(&gate) {
            kept.push(all[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0_usize;
        at += gate.len();
        while let Some(token) = all.get(at) {
            at += 1;
            match token {
                Token::Mark('{' | '(' | '[') => depth += 1,
                Token::Mark(')' | ']') => depth = depth.saturating_sub(1),
                Token::Mark('}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                }
                Token::Mark(';') if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}
