//! A simulated disk: it keeps what was synced, forgets or tears what was not, and fails where it is told to.
//!
//! Whether and how an operation fails, and what of it a power cut leaves, depends only on the seed, the name of the
//! file and how often that file was touched before. So a seed gives the same faults however threads interleave.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use store::disk::{Disk, DiskFile, DiskLock};

/// What a disk writes whole or not at all, usually.
const SECTOR: usize = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The operation fails, half done.
    Error,
    /// The disk is full at this operation, once.
    FullOnce,
    /// The disk is full from this operation on, until the next restart.
    FullFromHere,
    /// Power goes in the middle of the operation.
    PowerCut,
}

impl Fault {
    /// Whether an operation can fail in this way: a full disk hurts only what needs space.
    pub(crate) fn strikes(self, step: &Step) -> bool {
        match self {
            Self::Error | Self::PowerCut => true,
            Self::FullOnce | Self::FullFromHere => {
                matches!(step.kind, "create" | "write" | "reserve" | "set_len" | "rename")
            }
        }
    }
}

/// Prints what went wrong on a disk if the test fails.
pub(crate) struct Confession(pub(crate) SimDisk);

impl Drop for Confession {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("faults: {:#?}", self.0.struck());
        }
    }
}

/// One operation: the `count`-th that changes or reads this file, counted over all restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Step {
    pub(crate) file: String,
    pub(crate) kind: &'static str,
    pub(crate) count: u32,
}

/// Decides what goes wrong, from the seed and the step.
pub(crate) type Plan = Box<dyn Fn(&Step) -> Option<Fault> + Send>;

#[derive(Clone)]
pub(crate) struct SimDisk {
    world: Arc<Mutex<World>>,
}

struct World {
    seed: u64,
    plan: Plan,
    /// Names as programs see them, and as they are after a power cut.
    names: BTreeMap<PathBuf, u64>,
    /// Changes of names that no sync of the directory followed yet, oldest first.
    unsynced_names: Vec<NameChange>,
    durable_names: BTreeMap<PathBuf, u64>,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    counts: BTreeMap<String, u32>,
    /// Every operation so far.
    steps: Vec<Step>,
    /// What went wrong so far.
    struck: Vec<(Step, Fault)>,
    full: bool,
    /// A sync of a file in here says that all went well and does nothing.
    liar: Option<PathBuf>,
    /// Nothing works until the restart.
    off: bool,
    locked: bool,
    /// Counts restarts; what was opened before one is dead.
    life: u32,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Clone, Debug, Default)]
struct Content {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that were written after the last sync.
    dirty: BTreeSet<usize>,
}

impl SimDisk {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let world = World {
            seed,
            plan,
            names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            durable_names: BTreeMap::new(),
            files: BTreeMap::new(),
            next_file: 0,
            counts: BTreeMap::new(),
            steps: Vec::new(),
            struck: Vec::new(),
            full: false,
            liar: None,
            off: false,
            locked: false,
            life: 0,
        };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// A disk on which nothing goes wrong.
    pub(crate) fn perfect() -> Self {
        Self::new(0, Box::new(|_| None))
    }

    pub(crate) fn set_plan(&self, plan: Plan) {
        self.world.lock().plan = plan;
    }

    /// From here on syncs of files in this directory do nothing, until the next restart.
    pub(crate) fn lie_in(&self, directory: &Path) {
        self.world.lock().liar = Some(directory.to_owned());
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.world.lock().steps.clone()
    }

    pub(crate) fn struck(&self) -> Vec<(Step, Fault)> {
        self.world.lock().struck.clone()
    }

    /// Ends the process that used the disk. If power went too, what was not synced is lost, kept or torn.
    pub(crate) fn restart(&self, power_cut: bool) {
        let mut world = self.world.lock();
        if power_cut || world.off {
            world.lose_unsynced();
        }
        world.off = false;
        world.full = false;
        world.liar = None;
        world.locked = false;
        world.life += 1;
    }

    /// Files and their bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, usize)> {
        let world = self.world.lock();
        world.names.iter().map(|(path, file)| (path.clone(), world.files[file].visible.len())).collect()
    }

    /// Flips one bit, as a bad disk does.
    pub(crate) fn flip(&self, path: &Path, bit: usize) {
        let mut world = self.world.lock();
        let file = world.names[path];
        let content = world.files.get_mut(&file).unwrap();
        content.visible[bit / 8] ^= 1 << (bit % 8);
        content.durable = content.visible.clone();
    }

    fn begin(&self, life: u32, path: &Path, kind: &'static str) -> io::Result<(Option<Fault>, u64)> {
        let mut world = self.world.lock();
        if world.off || life != world.life {
            return Err(io::Error::other("simulated: the power is off"));
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let count = world.counts.entry(file.clone()).or_default();
        *count += 1;
        let step = Step { file, kind, count: *count };
        let mut fault = (world.plan)(&step).filter(|fault| fault.strikes(&step));
        let chance = world.chance(&step);
        if let Some(fault) = fault {
            world.struck.push((step.clone(), fault));
            world.full |= fault == Fault::FullFromHere;
            world.off |= fault == Fault::PowerCut;
        } else if world.full && Fault::FullFromHere.strikes(&step) {
            fault = Some(Fault::FullFromHere);
        }
        world.steps.push(step);
        Ok((fault, chance))
    }
}

fn failure(fault: Fault) -> io::Error {
    match fault {
        Fault::Error => io::Error::other("simulated: input/output error"),
        Fault::FullOnce | Fault::FullFromHere => {
            io::Error::new(io::ErrorKind::StorageFull, "simulated: no space left on device")
        }
        Fault::PowerCut => io::Error::other("simulated: the power is off"),
    }
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl World {
    fn chance(&self, of: impl Hash) -> u64 {
        hash((self.seed, of))
    }

    fn lose_unsynced(&mut self) {
        // Names change in order; how far that got is chance.
        let kept = match self.unsynced_names.len() {
            0 => 0,
            changes => self.chance(("names", self.life)) as usize % (changes + 1),
        };
        let changes: Vec<NameChange> = self.unsynced_names.drain(..).take(kept).collect();
        for change in changes {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        let kept: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|file, _| kept.contains(file));
        let (seed, life) = (self.seed, self.life);
        for (file, content) in &mut self.files {
            content.lose_unsynced(|what| hash((seed, life, file, what)));
        }
    }

    /// Applies a change of names, which is durable only after a sync.
    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.visible.len() < end {
            self.resize(end);
        }
        self.visible[offset..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
        }
    }

    fn resize(&mut self, length: usize) {
        let from = length.min(self.visible.len());
        self.visible.resize(length, 0);
        self.dirty.extend(from / SECTOR..length.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.durable.resize(self.visible.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.visible.len());
            if !range.is_empty() {
                self.durable[range.clone()].copy_from_slice(&self.visible[range]);
            }
        }
    }

    /// A failed sync: some sectors are durable, the others never will be by a later sync, though they can be read.
    fn sync_badly(&mut self, chance: u64) {
        let kept: BTreeSet<usize> =
            self.dirty.iter().copied().filter(|sector| hash((chance, sector)) % 2 == 0).collect();
        self.durable.resize(self.visible.len(), 0);
        self.dirty = kept;
        self.sync();
    }

    fn lose_unsynced(&mut self, chance: impl Fn((&str, usize)) -> u64) {
        let length =
            if chance(("length", 0)).is_multiple_of(2) { self.visible.len() } else { self.durable.len() };
        let mut bytes = self.durable.clone();
        bytes.resize(length, 0);
        for &sector in &self.dirty {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(length).min(self.visible.len());
            // Written whole, not at all, or torn inside.
            let written = match chance(("sector", sector)) % 8 {
                0..=3 => range.len(),
                4 => chance(("torn", sector)) as usize % (range.len() + 1),
                _ => 0,
            };
            if !range.is_empty() {
                let range = range.start..range.start + written;
                bytes[range.clone()].copy_from_slice(&self.visible[range]);
            }
        }
        *self = Self { visible: bytes.clone(), durable: bytes, dirty: BTreeSet::new() };
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl SimDisk {
    fn life(&self) -> u32 {
        self.world.lock().life
    }

    /// Names are changed whole or not at all, even when the operation fails.
    fn rename_all(&self, path: &Path, kind: &'static str, change: impl FnOnce(&mut World)) -> io::Result<()> {
        let (fault, chance) = self.begin(self.life(), path, kind)?;
        let mut world = self.world.lock();
        match fault {
            None => {
                change(&mut world);
                Ok(())
            }
            Some(fault) => {
                if chance % 2 == 0 && !matches!(fault, Fault::FullOnce | Fault::FullFromHere) {
                    change(&mut world);
                }
                Err(failure(fault))
            }
        }
    }

    fn handle(&self, path: &Path, file: u64) -> Box<dyn DiskFile> {
        Box::new(SimFile { disk: self.clone(), path: path.to_owned(), file, life: self.life() })
    }

    fn missing(&self, path: &Path) -> io::Result<u64> {
        self.world.lock().names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.rename_all(path, "create_dir", |_| ())
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut world = self.world.lock();
        if std::mem::replace(&mut world.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), life: world.life }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let (fault, _) = self.begin(self.life(), directory, "list")?;
        if let Some(fault) = fault {
            return Err(failure(fault));
        }
        let world = self.world.lock();
        Ok(world.names.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut made = 0;
        self.rename_all(path, "create", |world| {
            made = world.next_file;
            world.next_file += 1;
            world.files.insert(made, Content::default());
            world.change_names(NameChange::Create(path.to_owned(), made));
        })?;
        Ok(self.handle(path, made))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let (fault, _) = self.begin(self.life(), path, "open")?;
        match fault {
            Some(fault) => Err(failure(fault)),
            None => Ok(self.handle(path, self.missing(path)?)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.missing(from)?;
        self.rename_all(to, "rename", |world| {
            world.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.missing(path)?;
        self.rename_all(path, "remove", |world| {
            world.change_names(NameChange::Remove(path.to_owned()));
        })
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let (fault, chance) = self.begin(self.life(), directory, "sync_dir")?;
        let mut world = self.world.lock();
        let done = match fault {
            None => world.unsynced_names.len(),
            Some(_) => chance as usize % (world.unsynced_names.len() + 1),
        };
        let changes: Vec<NameChange> = world.unsynced_names.drain(..done).collect();
        for change in changes {
            change.apply(&mut world.durable_names);
        }
        fault.map_or(Ok(()), |fault| Err(failure(fault)))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(if self.world.lock().full { 0 } else { 1 << 40 })
    }
}

struct SimLock {
    disk: SimDisk,
    life: u32,
}

impl DiskLock for SimLock {}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimLock")
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.disk.world.lock();
        if world.life == self.life {
            world.locked = false;
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: u64,
    life: u32,
}

impl SimFile {
    /// Runs `whole` on the content, or `failed` with a number of chance when the step fails.
    fn run<A>(
        &self,
        kind: &'static str,
        whole: impl FnOnce(&mut Content) -> A,
        failed: impl FnOnce(&mut Content, u64),
    ) -> io::Result<A> {
        let (fault, chance) = self.disk.begin(self.life, &self.path, kind)?;
        let mut world = self.disk.world.lock();
        let Some(content) = world.files.get_mut(&self.file) else {
            return Err(io::Error::other("simulated: the file was lost in a power cut"));
        };
        match fault {
            None => Ok(whole(content)),
            Some(fault) => {
                failed(content, chance);
                Err(failure(fault))
            }
        }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.run("len", |content| content.visible.len() as u64, |_, _| ())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = |content: &mut Content| {
            let rest = content.visible.get(offset as usize..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            read
        };
        self.run("read", read, |_, _| ())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        let part = |content: &mut Content, chance: u64| {
            content.write(&bytes[..chance as usize % (bytes.len() + 1)], offset);
        };
        self.run("write", |content| content.write(bytes, offset), part)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let grow = |content: &mut Content| {
            let length = content.visible.len().max(bytes as usize);
            content.resize(length);
        };
        self.run("reserve", grow, |_, _| ())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.run("set_len", |content| content.resize(bytes as usize), |_, _| ())
    }

    fn sync(&self) -> io::Result<()> {
        let honest = self.disk.world.lock().liar.as_ref().is_none_or(|liar| !self.path.starts_with(liar));
        let sync = |content: &mut Content| {
            if honest {
                content.sync();
            }
        };
        self.run("sync", sync, Content::sync_badly)
    }
}
