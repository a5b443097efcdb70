//! Trusted Services through the kernel's driver `arm_tstee`: `include/uapi/linux/tee.h`, `Documentation/tee/ts-tee.rst`.
//!
//! The only unsafe code of this crate: ioctls whose argument points to a second structure, and a buffer that the driver shares with a
//! secure partition and gives out by `mmap` alone.
#![allow(
    unsafe_code,
    reason = "no crate wraps these ioctls, and the driver gives its memory out by mmap alone"
)]

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::ptr;

use rustix::ioctl::{self, IoctlOutput, Opcode, opcode};
use rustix::mm::{MapFlags, ProtFlags};
use zeroize::Zeroizing;

use super::trustzone::{SecureServices, ServicesFailure};

/// As many as the driver's own client library looks at: `tee0` to `tee15`.
const MAX_DEVICES: u8 = 16;
/// `TEE_IMPL_ID_TSTEE`.
const IMPLEMENTATION: u32 = 3;
const VALUE_INOUT: u64 = 3;
const PAGE: usize = 4096;

const VERSION: Opcode = opcode::read::<Version>(0xa4, 0);
const SHM_ALLOC: Opcode = opcode::read_write::<SharedMemory>(0xa4, 1);
const OPEN_SESSION: Opcode = opcode::read::<Buffer>(0xa4, 2);
const INVOKE: Opcode = opcode::read::<Buffer>(0xa4, 3);

/// The devices of this machine, opened anew for each call. Not run on hardware.
#[derive(Clone, Debug)]
pub struct TrustedServices {
    /// `/dev`.
    pub devices: PathBuf,
}

impl SecureServices for TrustedServices {
    fn call(
        &self,
        service: &[u8; 16],
        opcode: u16,
        request: &[u8],
        capacity: usize,
    ) -> Result<(i32, Zeroizing<Vec<u8>>), ServicesFailure> {
        let mut asked = 0;
        for number in 0..MAX_DEVICES {
            let path = self.devices.join(format!("tee{number}"));
            let Ok(device) = File::options().read(true).write(true).open(path) else { continue };
            let mut version = Version::default();
            if control(&device, VERSION, &mut version).is_err() || version.implementation != IMPLEMENTATION {
                continue;
            }
            asked += 1;
            if let Some(session) = open_session(&device, service) {
                return invoke(&device, session, opcode, request, capacity);
            }
        }
        Err(ServicesFailure::NoService { devices: asked })
    }
}

/// The number of a session with `service`, which ends with the device's descriptor; none when this partition does not have it.
fn open_session(device: &File, service: &[u8; 16]) -> Option<u32> {
    let mut argument = OpenSession { service: *service, ..OpenSession::default() };
    let mut buffer = Buffer::of(&mut argument);
    control(device, OPEN_SESSION, &mut buffer).ok()?;
    Some(argument.session)
}

fn invoke(
    device: &File,
    session: u32,
    opcode: u16,
    request: &[u8],
    capacity: usize,
) -> Result<(i32, Zeroizing<Vec<u8>>), ServicesFailure> {
    let shared = Shared::new(device, request.len().max(capacity))?;
    shared.write(request);
    let mut argument = Invoke {
        function: u32::from(opcode),
        session,
        parameters: 1,
        attribute: VALUE_INOUT,
        a: u64::from(shared.id),
        b: request.len() as u64,
        ..Invoke::default()
    };
    let mut buffer = Buffer::of(&mut argument);
    control(device, INVOKE, &mut buffer).map_err(kernel("call the service"))?;
    let status = i32::from_ne_bytes(argument.status.to_ne_bytes());
    let length = usize::try_from(argument.a).ok().filter(|length| *length <= shared.length);
    let length = length.ok_or(ServicesFailure::Malformed { what: "more bytes than there is room for" })?;
    Ok((status, shared.read(length.min(capacity))))
}

/// Memory that both worlds see, mapped here and zeroed before it goes.
struct Shared {
    start: *mut u8,
    length: usize,
    id: u32,
}

impl Shared {
    fn new(device: &File, length: usize) -> Result<Self, ServicesFailure> {
        let length = length.max(1).next_multiple_of(PAGE);
        let mut memory = SharedMemory { size: length as u64, ..SharedMemory::default() };
        let descriptor = control(device, SHM_ALLOC, &mut memory).map_err(kernel("share memory"))?;
        // SAFETY: SHM_ALLOC succeeded, so that its result is a descriptor that was made for this call and that nobody else has.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, of memory that belongs to this descriptor alone and that stays
        // as long as the mapping does. `length` bytes were allocated, or the driver would have refused.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), length, protection, MapFlags::SHARED, &descriptor, 0)
        };
        let start = start.map_err(|errno| kernel("map shared memory")(errno.into()))?.cast();
        Ok(Self { start, length, id: memory.id })
    }

    fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.length, "the memory was made for the request");
        // SAFETY: `start` is mapped for `length` bytes, which the assertion holds against; no reference to them exists, and the
        // secure world only looks during a call.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start, bytes.len()) }
    }

    fn read(&self, length: usize) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; length.min(self.length)]);
        // SAFETY: as for writing; the call is over, and a partition that still wrote could change values, which are not trusted yet.
        unsafe { ptr::copy_nonoverlapping(self.start, bytes.as_mut_ptr(), bytes.len()) }
        bytes
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.write(&vec![0; self.length]);
        // SAFETY: the mapping was made by `new` with this length, and nothing refers to it any more. A failure would leave it mapped.
        let _ = unsafe { rustix::mm::munmap(self.start.cast(), self.length) };
    }
}

/// `struct tee_ioctl_version_data`.
#[repr(C)]
#[derive(Default)]
struct Version {
    implementation: u32,
    capabilities: u32,
    generic_capabilities: u32,
}

/// `struct tee_ioctl_shm_alloc_data`.
#[repr(C)]
#[derive(Default)]
struct SharedMemory {
    size: u64,
    flags: u32,
    id: u32,
}

/// `struct tee_ioctl_open_session_arg` without parameters.
#[repr(C)]
#[derive(Default)]
struct OpenSession {
    service: [u8; 16],
    client: [u8; 16],
    login: u32,
    cancel_id: u32,
    session: u32,
    status: u32,
    origin: u32,
    parameters: u32,
}

/// `struct tee_ioctl_invoke_arg` and one `struct tee_ioctl_param`.
#[repr(C)]
#[derive(Default)]
struct Invoke {
    function: u32,
    session: u32,
    cancel_id: u32,
    status: u32,
    origin: u32,
    parameters: u32,
    attribute: u64,
    a: u64,
    b: u64,
    c: u64,
}

/// `struct tee_ioctl_buf_data`: where the real argument is.
#[repr(C)]
struct Buffer {
    address: u64,
    length: u64,
}

impl Buffer {
    fn of<T>(argument: &mut T) -> Self {
        Self { address: ptr::from_mut(argument).expose_provenance() as u64, length: size_of::<T>() as u64 }
    }
}

/// One ioctl; what it returns is the descriptor that some give.
fn control<T>(device: &File, opcode: Opcode, argument: &mut T) -> std::io::Result<i32> {
    // SAFETY: each opcode of this file is called with the structure that `tee.h` names for it, or with a `Buffer` that holds address and
    // exact size of one, borrowed mutably by the caller until after the call. The driver writes nowhere else.
    Ok(unsafe { ioctl::ioctl(device, Call { opcode, argument: ptr::from_mut(argument).cast() }) }?)
}

struct Call {
    opcode: Opcode,
    argument: *mut c_void,
}

// SAFETY: the pointer and the opcode are the caller's, who vouches for both (see `control`); the output is the return value alone.
unsafe impl ioctl::Ioctl for Call {
    type Output = i32;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(output)
    }
}

fn kernel(action: &'static str) -> impl Fn(std::io::Error) -> ServicesFailure {
    move |source| ServicesFailure::Kernel { action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes and numbers as a C compiler gives them for `tee.h`.
    #[test]
    fn structures_and_numbers_are_the_kernels() {
        assert_eq!((size_of::<Version>(), size_of::<SharedMemory>(), size_of::<Buffer>()), (12, 16, 16));
        assert_eq!((size_of::<OpenSession>(), size_of::<Invoke>()), (56, 24 + 32));
        assert_eq!(
            [VERSION, SHM_ALLOC, OPEN_SESSION, INVOKE],
            [0x800c_a400, 0xc010_a401, 0x8010_a402, 0x8010_a403]
        );
    }

    #[test]
    fn a_machine_without_the_driver_has_no_service() {
        let dir = tempfile::tempdir().unwrap();
        let services = TrustedServices { devices: dir.path().to_owned() };
        let none = services.call(&[0; 16], 1, &[], 0).map(|_| ()).unwrap_err();
        assert!(matches!(none, ServicesFailure::NoService { devices: 0 }), "{none}");
        // Something that is no such device is passed over.
        std::fs::write(dir.path().join("tee0"), "").unwrap();
        let none = services.call(&[0; 16], 1, &[], 0).map(|_| ()).unwrap_err();
        assert!(matches!(none, ServicesFailure::NoService { devices: 0 }), "{none}");
    }

    /// Shared memory comes from any descriptor that can be mapped: a file plays the driver's here.
    #[test]
    fn memory_is_written_read_and_zeroed() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(PAGE as u64).unwrap();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping of a file of this test, which is `PAGE` bytes long.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), PAGE, protection, MapFlags::SHARED, &file, 0) }
                .unwrap();
        let shared = Shared { start: start.cast(), length: PAGE, id: 1 };
        shared.write(b"a key");
        assert_eq!(*shared.read(5), *b"a key");
        assert_eq!(shared.read(usize::MAX).len(), PAGE);
        drop(shared);
        let mut left = [1; 5];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut left, 0).unwrap();
        assert_eq!(left, [0; 5]);
    }
}
