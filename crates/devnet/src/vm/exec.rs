//! The interpreter's loop.

use std::sync::Arc;

use super::arith;
use super::binary::{Op, VariantAction};
use super::error::{Primitive, Resource, VmError};
use super::fault::{Fault, Step};
use super::gas::{BYTE, REFERENCE, STRUCT, VECTOR, constant_size, size};
use super::machine::{Machine, location, resolve};
use super::module::{Body, Callee, Code, Module};
use super::types::Type;
use super::value::{Place, PlaceMut, Ref, Root, VALUE_COST, Value, Variant, spend};

/// Most nested calls.
const MAX_FRAMES: usize = 1024;

/// Parts of a type that are filled in for the cost of one instruction.
const TYPE_PARTS: usize = 4;

/// A function being executed.
struct Frame {
    module: Arc<Module>,
    function: u16,
    type_args: Vec<Type>,
    /// The next instruction.
    pc: usize,
    /// Where its locals begin.
    base: usize,
    /// Where its part of the operand stack begins.
    floor: usize,
}

/// A fault, and the native function it happened in if it did not happen in the frame itself.
type Blamed = (Fault, Option<(Arc<Module>, u16)>);

/// Why a frame stopped executing.
enum Flow {
    Return,
    Call(Frame),
}

const WRONG_TYPE: Fault = Fault::BadCode("an operand of the wrong type");
const OUT_OF_BOUNDS: Fault = Fault::Primitive(Primitive::IndexOutOfBounds);

impl Machine<'_> {
    /// Executes a function with its arguments, and everything it calls.
    pub(crate) fn run(
        &mut self,
        module: &Arc<Module>,
        function: u16,
        type_args: Vec<Type>,
        args: Vec<Value>,
    ) -> Result<Vec<Value>, VmError> {
        self.stack.clear();
        self.locals.clear();
        self.floor = 0;
        self.stack.extend(args);
        let start = self.enter(module, function, type_args);
        let first = start.map_err(|fault| fault.at(|| location(module, function, 0)))?;
        let mut frames: Vec<Frame> = first.into_iter().collect();
        while let Some(frame) = frames.last_mut() {
            let flow = self.execute(frame).map_err(|(fault, native)| match native {
                Some((module, function)) => fault.at(|| location(&module, function, 0)),
                None => fault.at(|| location(&frame.module, frame.function, frame.pc.saturating_sub(1))),
            })?;
            match flow {
                Flow::Call(callee) => {
                    if frames.len() >= MAX_FRAMES {
                        return Err(VmError::OutOf(Resource::CallDepth));
                    }
                    self.floor = callee.floor;
                    frames.push(callee);
                }
                Flow::Return => {
                    self.locals.truncate(frame.base);
                    frames.pop();
                    self.floor = frames.last().map_or(0, |caller| caller.floor);
                }
            }
        }
        Ok(std::mem::take(&mut self.stack))
    }

    /// Starts a function whose arguments are on the stack. Native functions are executed at once.
    fn enter(&mut self, module: &Arc<Module>, index: u16, type_args: Vec<Type>) -> Step<Option<Frame>> {
        let function = module.functions.get(usize::from(index)).ok_or(Fault::BadCode("no such function"))?;
        if type_args.len() != function.type_params.len() {
            return Err(Fault::BadCode("the wrong number of type arguments"));
        }
        match &function.body {
            Body::Native(Some((native, cost))) => {
                // Natives write types out.
                self.spend(type_args.iter().map(Type::nodes).sum())?;
                self.meter.charge(1, 0, function.params.len() as u64, 0)?;
                self.meter.deduct(*cost)?;
                native(self, &type_args)?;
                self.charge_results(function.returns.len())?;
                Ok(None)
            }
            Body::Native(None) => {
                let (package, name, function) = (module.original, &module.name, &function.name);
                let text = format!("native function {package}::{name}::{function}");
                Err(VmError::Unsupported(text).into())
            }
            Body::Code(code) => {
                let args = function.params.len();
                self.meter.charge(1, 0, args as u64, 0)?;
                let floor = self.stack.len().checked_sub(args).filter(|&floor| floor >= self.floor);
                let floor = floor.ok_or(Fault::BadCode("the operand stack is empty"))?;
                let base = self.locals.len();
                self.locals.extend(self.stack.drain(floor..));
                self.locals.resize_with(base + code.locals, || Value::Gone);
                let module = Arc::clone(module);
                Ok(Some(Frame { module, function: index, type_args, pc: 0, base, floor }))
            }
        }
    }

    /// Executes a frame until it returns or calls a function that is not native. A fault of a native
    /// function comes with that function.
    fn execute(&mut self, frame: &mut Frame) -> Result<Flow, Blamed> {
        let module = Arc::clone(&frame.module);
        let function = module.functions.get(usize::from(frame.function));
        let Some((Body::Code(code), returns)) = function.map(|f| (&f.body, f.returns.len())) else {
            return Err((Fault::BadCode("no such function"), None));
        };
        loop {
            let op = *code.ops.get(frame.pc).ok_or((Fault::BadCode("code ran over its end"), None))?;
            frame.pc += 1;
            if self.fuel == 0 {
                return Err((Fault::OutOf(Resource::Instructions), None));
            }
            self.fuel -= 1;
            let (handle, type_args) = match op {
                Op::Ret => {
                    self.meter.charge(1, 0, 0, 0).map_err(|fault| (fault, None))?;
                    let ok = self.stack.len() == self.floor + returns;
                    return if ok { Ok(Flow::Return) } else { Err((WRONG_TYPE, None)) };
                }
                Op::Call(handle) => (handle, Vec::new()),
                Op::CallGeneric(instance) => {
                    instantiate(frame, instance, &mut self.fuel).map_err(|fault| (fault, None))?
                }
                other => {
                    let charged = match flat_charge(&other) {
                        Some((pushes, pops, size)) => self.meter.charge(1, pushes, pops, size),
                        None => Ok(()),
                    };
                    charged.map_err(|fault| (fault, None))?;
                    self.step(other, frame, code).map_err(|fault| (fault, None))?;
                    continue;
                }
            };
            let (callee, index) = match module.callees.get(usize::from(handle)) {
                Some(Callee::Own(index)) => (&module, *index),
                Some(Callee::Other(module, index)) => (module, *index),
                None => return Err((Fault::BadCode("no such function"), None)),
            };
            let entered = self.enter(callee, index, type_args);
            if let Some(callee) = entered.map_err(|fault| (fault, Some((Arc::clone(callee), index))))? {
                return Ok(Flow::Call(callee));
            }
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm per instruction reads best in one place")]
    fn step(&mut self, op: Op, frame: &mut Frame, code: &Code) -> Step<()> {
        match op {
            Op::Pop => drop(self.pop()?),
            Op::BrTrue(target) => {
                if self.pop_bool()? {
                    frame.pc = usize::from(target);
                }
            }
            Op::BrFalse(target) => {
                if !self.pop_bool()? {
                    frame.pc = usize::from(target);
                }
            }
            Op::Branch(target) => frame.pc = usize::from(target),
            Op::LdU8(value) => self.push(Value::U8(value))?,
            Op::LdU16(value) => self.push(Value::U16(value))?,
            Op::LdU32(value) => self.push(Value::U32(value))?,
            Op::LdU64(value) => self.push(Value::U64(value))?,
            Op::LdBool(value) => self.push(Value::Bool(value))?,
            Op::LdWide(index) => {
                let wide = code.wide.get(usize::from(index)).ok_or(WRONG_TYPE)?;
                let copy = wide.copy(&mut self.fuel)?;
                self.push(copy)?;
            }
            Op::LdConst(index) => self.load(frame.module.constants.get(usize::from(index)))?,
            Op::CopyLoc(index) => {
                let local = self.locals.get(frame.base + usize::from(index));
                let local = local.ok_or(WRONG_TYPE)?;
                self.meter.charge(1, 1, 0, size(local))?;
                let copy = local.copy(&mut self.fuel)?;
                self.push(copy)?;
            }
            Op::MoveLoc(index) => {
                let value = std::mem::take(self.local(frame, index)?);
                if matches!(value, Value::Gone) {
                    return Err(Fault::BadCode("a local that was moved away"));
                }
                self.push(value)?;
            }
            Op::StLoc(index) => {
                let value = self.pop()?;
                *self.local(frame, index)? = value;
            }
            Op::BorrowLoc(index) => {
                let at = u32::try_from(frame.base + usize::from(index)).map_err(|_| WRONG_TYPE)?;
                self.push(Value::Ref(Ref::new(Root::Local(at))))?;
            }
            Op::BorrowField(field) => {
                let reference = self.pop_ref()?.part(u32::from(field))?;
                self.push(Value::Ref(reference))?;
            }
            Op::Pack(fields) => {
                let fields = self.pop_many(usize::from(fields))?;
                self.push(Value::Struct(fields.into()))?;
            }
            Op::Unpack(fields) => match self.pop()? {
                Value::Struct(values) if values.0.len() == usize::from(fields) => {
                    self.push_all(values.take())?;
                }
                _ => return Err(WRONG_TYPE),
            },
            Op::Variant { action, tag, fields } => self.variant(action, tag, fields)?,
            Op::VariantSwitch(table) => {
                let reference = self.pop_ref()?;
                let Value::Variant(variant) = self.value_at(&reference)? else { return Err(WRONG_TYPE) };
                let table = code.jump_tables.get(usize::from(table)).ok_or(WRONG_TYPE)?;
                frame.pc = usize::from(*table.get(usize::from(variant.tag)).ok_or(WRONG_TYPE)?);
            }
            Op::ReadRef => {
                let reference = self.pop_ref()?;
                let copy = match resolve(&self.locals, &self.slots, &reference)? {
                    Place::Value(value) => {
                        self.meter.charge(1, 1, 1, REFERENCE + size(value))?;
                        value.copy(&mut self.fuel)?
                    }
                    Place::Byte(byte) => {
                        self.meter.charge(1, 1, 1, REFERENCE + BYTE)?;
                        Value::U8(byte)
                    }
                };
                self.push(copy)?;
            }
            Op::WriteRef => {
                let reference = self.pop_ref()?;
                let value = self.pop()?;
                self.meter.charge(1, 1, 2, size(&value))?;
                match (self.place_mut(&reference)?, value) {
                    (PlaceMut::Value(place), value) => *place = value,
                    (PlaceMut::Byte(place), Value::U8(value)) => *place = value,
                    _ => return Err(WRONG_TYPE),
                }
            }
            Op::FreezeRef | Op::Nop => {}
            Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Mod
            | Op::Div
            | Op::BitOr
            | Op::BitAnd
            | Op::Xor
            | Op::Shl
            | Op::Shr => {
                let b = self.pop()?;
                let a = self.pop()?;
                self.push(arith::binary(op, a, b)?)?;
            }
            Op::Lt | Op::Gt | Op::Le | Op::Ge => {
                let b = self.pop()?;
                let a = self.pop()?;
                self.push(Value::Bool(arith::compare(op, &a, &b)?))?;
            }
            Op::Or => {
                let (b, a) = (self.pop_bool()?, self.pop_bool()?);
                self.push(Value::Bool(a | b))?;
            }
            Op::And => {
                let (b, a) = (self.pop_bool()?, self.pop_bool()?);
                self.push(Value::Bool(a & b))?;
            }
            Op::Not => {
                let value = self.pop_bool()?;
                self.push(Value::Bool(!value))?;
            }
            Op::Eq => {
                let equal = self.equal()?;
                self.push(Value::Bool(equal))?;
            }
            Op::Neq => {
                let equal = self.equal()?;
                self.push(Value::Bool(!equal))?;
            }
            Op::Cast(width) => {
                let value = self.pop()?;
                self.push(arith::cast(width, &value)?)?;
            }
            Op::Abort => return Err(Fault::Abort(self.pop_u64()?)),
            Op::VecPack(signature, count) => {
                let element = frame.module.signatures.get(usize::from(signature)).and_then(|s| s.first());
                let vector = self.pack_vector(element, usize::from(count), &frame.type_args)?;
                self.push(vector)?;
            }
            Op::VecUnpack(count) => {
                let values = match self.pop()? {
                    Value::Bytes(bytes) => bytes.into_iter().map(Value::U8).collect(),
                    Value::Vector(values) => values.take(),
                    _ => return Err(WRONG_TYPE),
                };
                if values.len() != usize::from(count) {
                    return Err(Fault::Primitive(Primitive::VectorLength));
                }
                self.push_all(values)?;
            }
            Op::VecLen => {
                let reference = self.pop_ref()?;
                let length = length(self.value_at(&reference)?)?;
                self.push(Value::U64(length as u64))?;
            }
            Op::VecBorrow => {
                let index = self.pop_u64()?;
                let reference = self.pop_ref()?;
                let index = self.index(&reference, index)?;
                let element = u32::try_from(index).map_err(|_| OUT_OF_BOUNDS)?;
                self.push(Value::Ref(reference.part(element)?))?;
            }
            Op::VecPushBack => {
                let value = self.pop()?;
                let reference = self.pop_ref()?;
                self.spend(if matches!(value, Value::U8(_)) { 1 } else { VALUE_COST })?;
                match (self.value_at_mut(&reference)?, value) {
                    (Value::Bytes(bytes), Value::U8(value)) => bytes.push(value),
                    (Value::Vector(values), value) => values.0.push(value),
                    _ => return Err(WRONG_TYPE),
                }
            }
            Op::VecPopBack => {
                let reference = self.pop_ref()?;
                let last = match self.value_at_mut(&reference)? {
                    Value::Bytes(bytes) => bytes.pop().map(Value::U8),
                    Value::Vector(values) => values.0.pop(),
                    _ => return Err(WRONG_TYPE),
                };
                self.push(last.ok_or(Fault::Primitive(Primitive::EmptyVector))?)?;
            }
            Op::VecSwap => {
                let (b, a) = (self.pop_u64()?, self.pop_u64()?);
                let reference = self.pop_ref()?;
                let (a, b) = (self.index(&reference, a)?, self.index(&reference, b)?);
                match self.value_at_mut(&reference)? {
                    Value::Bytes(bytes) => bytes.swap(a, b),
                    Value::Vector(values) => values.0.swap(a, b),
                    _ => return Err(WRONG_TYPE),
                }
            }
            Op::Global(name) => return Err(VmError::Unsupported(name.into()).into()),
            Op::Ret | Op::Call(_) | Op::CallGeneric(_) => return Err(WRONG_TYPE),
            // Linking leaves none of these.
            Op::BorrowFieldGeneric(_)
            | Op::PackGeneric(_)
            | Op::UnpackGeneric(_)
            | Op::PackVariant(_)
            | Op::PackVariantGeneric(_)
            | Op::UnpackVariant(_)
            | Op::UnpackVariantGeneric(_)
            | Op::BorrowVariant(_)
            | Op::BorrowVariantGeneric(_) => return Err(Fault::BadCode("an instruction that is not linked")),
        }
        Ok(())
    }

    /// Size of a value, or of a reference and what it refers to.
    fn reached(&self, value: &Value) -> Step<u64> {
        let Value::Ref(reference) = value else { return Ok(size(value)) };
        Ok(REFERENCE
            + match resolve(&self.locals, &self.slots, reference)? {
                Place::Value(value) => size(value),
                Place::Byte(_) => BYTE,
            })
    }

    fn local(&mut self, frame: &Frame, index: u8) -> Step<&mut Value> {
        self.locals.get_mut(frame.base + usize::from(index)).ok_or(WRONG_TYPE)
    }

    fn load(&mut self, constant: Option<&Value>) -> Step<()> {
        let constant = constant.ok_or(WRONG_TYPE)?;
        self.meter.charge(1, 1, 0, constant_size(constant))?;
        let copy = constant.copy(&mut self.fuel)?;
        self.push(copy)
    }

    fn push_all(&mut self, values: Vec<Value>) -> Step<()> {
        values.into_iter().try_for_each(|value| self.push(value))
    }

    /// Checks an index into the vector that `reference` refers to.
    fn index(&self, reference: &Ref, index: u64) -> Step<usize> {
        let length = length(self.value_at(reference)?)?;
        usize::try_from(index).ok().filter(|&index| index < length).ok_or(OUT_OF_BOUNDS)
    }

    fn pack_vector(&mut self, element: Option<&Type>, count: usize, type_args: &[Type]) -> Step<Value> {
        let values = self.pop_many(count)?;
        let element = match element.ok_or(WRONG_TYPE)? {
            Type::Param(index) => type_args.get(usize::from(*index)).ok_or(WRONG_TYPE)?,
            plain => plain,
        };
        if *element != Type::U8 {
            return Ok(Value::Vector(values.into()));
        }
        let byte = |value| if let Value::U8(byte) = value { Ok(byte) } else { Err(WRONG_TYPE) };
        values.into_iter().map(byte).collect::<Step<_>>().map(Value::Bytes)
    }

    fn variant(&mut self, action: VariantAction, tag: u16, fields: u16) -> Step<()> {
        match action {
            VariantAction::Pack => {
                let fields = self.pop_many(usize::from(fields))?.into();
                self.push(Value::Variant(Box::new(Variant { tag, fields })))
            }
            VariantAction::Unpack => {
                let Value::Variant(variant) = self.pop()? else { return Err(WRONG_TYPE) };
                if variant.tag != tag {
                    return Err(Fault::Primitive(Primitive::Variant));
                }
                if variant.fields.0.len() != usize::from(fields) {
                    return Err(WRONG_TYPE);
                }
                self.push_all(variant.fields.take())
            }
            VariantAction::Borrow => {
                let reference = self.pop_ref()?;
                let Value::Variant(variant) = self.value_at(&reference)? else { return Err(WRONG_TYPE) };
                if variant.tag != tag {
                    return Err(Fault::Primitive(Primitive::Variant));
                }
                for field in 0..fields {
                    self.push(Value::Ref(reference.clone().part(u32::from(field))?))?;
                }
                Ok(())
            }
        }
    }

    /// Compares the two topmost values; references by what they refer to.
    fn equal(&mut self) -> Step<bool> {
        let b = self.pop()?;
        let a = self.pop()?;
        let sizes = self.reached(&a)? + self.reached(&b)?;
        self.meter.charge(1, 1, 2, 1 + sizes)?;
        let (Value::Ref(a), Value::Ref(b)) = (&a, &b) else { return a.equals(&b, &mut self.fuel) };
        let a = resolve(&self.locals, &self.slots, a)?;
        let b = resolve(&self.locals, &self.slots, b)?;
        match (a, b) {
            (Place::Value(a), Place::Value(b)) => a.equals(b, &mut self.fuel),
            (Place::Byte(a), Place::Byte(b)) => Ok(a == b),
            (Place::Byte(a), Place::Value(Value::U8(b))) | (Place::Value(Value::U8(b)), Place::Byte(a)) => {
                Ok(a == *b)
            }
            _ => Err(WRONG_TYPE),
        }
    }
}

/// Values pushed, values popped and bytes pushed by an instruction that always costs the same; `None`
/// for those that are charged where they are executed.
fn flat_charge(op: &Op) -> Option<(u64, u64, u64)> {
    let (pushes, pops, bytes) = match op {
        Op::Nop | Op::Branch(_) | Op::Global(_) => (0, 0, 0),
        Op::Pop | Op::BrTrue(_) | Op::BrFalse(_) | Op::StLoc(_) | Op::Abort | Op::VariantSwitch(_) => {
            (0, 1, 0)
        }
        // A number counts as one byte here, whatever its width.
        Op::LdU8(_) | Op::LdBool(_) | Op::LdU16(_) | Op::LdU32(_) | Op::LdU64(_) | Op::LdWide(_) => (1, 0, 1),
        // What is moved stays where it is; only the operand stack holds a place more.
        Op::BorrowLoc(_) | Op::MoveLoc(_) => (1, 0, REFERENCE),
        Op::BorrowField(_) | Op::FreezeRef => (1, 1, REFERENCE),
        Op::VecLen => (1, 1, 1),
        Op::Pack(fields) => (1, u64::from(*fields), STRUCT),
        Op::Unpack(fields) => (u64::from(*fields), 1, 0),
        Op::Variant { action: VariantAction::Pack, fields, .. } => (1, u64::from(*fields), STRUCT),
        Op::Variant { action: VariantAction::Unpack, fields, .. } => (u64::from(*fields), 1, 0),
        Op::Variant { action: VariantAction::Borrow, fields, .. } => {
            (u64::from(*fields), 1, REFERENCE * u64::from(*fields))
        }
        Op::Add | Op::Sub | Op::Mul | Op::Mod | Op::Div => (1, 2, 1),
        Op::BitOr | Op::BitAnd | Op::Xor | Op::Shl | Op::Shr => (1, 2, 1),
        Op::Or | Op::And | Op::Lt | Op::Gt | Op::Le | Op::Ge => (1, 2, 1),
        Op::Not | Op::Cast(_) => (1, 1, 1),
        Op::VecPack(_, count) => (1, u64::from(*count), VECTOR),
        Op::VecUnpack(count) => (u64::from(*count), 1, 0),
        Op::VecBorrow => (1, 2, REFERENCE),
        Op::VecPushBack => (0, 2, 0),
        Op::VecPopBack | Op::VecSwap => (1, 1, 0),
        _ => return None,
    };
    Some((pushes, pops, bytes))
}

fn length(value: &Value) -> Step<usize> {
    match value {
        Value::Bytes(bytes) => Ok(bytes.len()),
        Value::Vector(values) => Ok(values.0.len()),
        _ => Err(WRONG_TYPE),
    }
}

/// Function handle and type arguments of a generic call.
fn instantiate(frame: &Frame, instance: u16, fuel: &mut u64) -> Step<(u16, Vec<Type>)> {
    let module = &frame.module;
    let &(handle, signature) = module.instances.get(usize::from(instance)).ok_or(WRONG_TYPE)?;
    let args = module.signatures.get(usize::from(signature)).ok_or(WRONG_TYPE)?;
    let mut types = Vec::with_capacity(args.len());
    for arg in args.iter() {
        let ty = arg.substitute(&frame.type_args)?;
        spend(fuel, ty.nodes() / TYPE_PARTS)?;
        types.push(ty);
    }
    Ok((handle, types))
}
