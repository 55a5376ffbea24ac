// `import Filigree` gives the catalog of structures, the CPU device, and ``StructuredLayer`` on row-major buffers.
@_exported import Arrays
@_exported import Model
