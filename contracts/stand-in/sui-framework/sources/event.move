// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::event;

public native fun emit<T: copy + drop>(event: T);
