//! Compiles a pack's `.proto` with all it imports, and notes which files that took.

use std::cell::RefCell;
use std::rc::Rc;

use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver};

use super::error::PackError;
use super::guard;
use crate::digest::{Files, FilesError, is_import_path};

/// Bytes of an imported file; `None` if there is none.
pub(super) type Reader = Box<dyn Fn(&str) -> Result<Option<Vec<u8>>, FilesError>>;

/// Compiles the closure of `root`. `protox::compile` would drop custom options, so the raw encoding is
/// decoded again; source positions stay, for the messages of later checks.
pub(super) fn compile(root: &str, read: Reader) -> Result<(DescriptorPool, Files), PackError> {
    let opened = Rc::new(RefCell::new(Files::new()));
    let refused = Rc::new(RefCell::new(None));
    let resolver = Closure { read, opened: Rc::clone(&opened), refused: Rc::clone(&refused) };
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    // A refusal of our own says more than the compiler's words about it.
    compiler.open_file(root).map_err(|error| refused.take().unwrap_or_else(|| located(root, &error)))?;
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice())
        .map_err(|error| parse_located(root, &format!("{error:?}"), &error.to_string()))?;
    let files = opened.take();
    Ok((pool, files))
}

/// Resolves imports, and nothing that its reader does not have: no file is built in.
struct Closure {
    read: Reader,
    opened: Rc<RefCell<Files>>,
    refused: Rc<RefCell<Option<PackError>>>,
}

impl Closure {
    fn refuse(&self, error: PackError) -> protox::Error {
        let shown = protox::Error::new(error.clone());
        *self.refused.borrow_mut() = Some(error);
        shown
    }
}

impl FileResolver for Closure {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if !is_import_path(name) {
            return Err(protox::Error::file_not_found(name));
        }
        let bytes = (self.read)(name).map_err(|error| match error {
            FilesError::Refused { problem, .. } => self.refuse(PackError::file(name, problem)),
            FilesError::Io { .. } => protox::Error::new(error),
        })?;
        let bytes = bytes.ok_or_else(|| protox::Error::file_not_found(name))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.refuse(PackError::file(name, "not UTF-8")))?;
        guard::check_proto(name, text).map_err(|error| self.refuse(error))?;
        let file = File::from_source(name, text)?;
        self.opened.borrow_mut().insert(name, bytes).map_err(protox::Error::new)?;
        Ok(file)
    }
}

fn located(root: &str, error: &protox::Error) -> PackError {
    let file = error.file().unwrap_or(root);
    parse_located(file, &format!("{error:?}"), &error.to_string())
}

/// The compiler tells the position only in its debug form, `<file>:<line>:<column>: <problem>`.
fn parse_located(file: &str, debug: &str, problem: &str) -> PackError {
    let position = debug.strip_prefix(file).and_then(|rest| rest.strip_prefix(':'));
    let line = position.and_then(|rest| rest.split(':').next()).and_then(|line| line.parse().ok());
    PackError::at(file, line, None, problem.replace('\n', " ")).rule("schema/compile")
}
