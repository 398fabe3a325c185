/* The C interface: a network is made of named arrays, and evaluates portions of a graph. */
#ifndef EQUIPOT_KERNEL_H
#define EQUIPOT_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EQUIPOT_API __attribute__((visibility("default")))

/* Raised whenever anything below changes. */
#define EQUIPOT_INTERFACE 2
EQUIPOT_API int equipot_interface(void);

/* One array: `reals` or `integers` points to its `count` numbers, row by row, and the other is null. */
typedef struct {
  const char* name;
  const double* reals;
  const int64_t* integers;
  int64_t count;
} EquipotTensor;

/* n atoms with K slots for the edges of each, as the dense layout of the exported models has them.
   Distances in angstrom, energies in eV. */
typedef struct {
  int64_t atoms, slots;
  const int64_t* species;          /* (n,) */
  const int64_t* neighbor_species; /* (n, K) */
  const float* edge_vectors;       /* (n, K, 3) */
  const uint8_t* mask;             /* (n, K) whether the slot holds an edge */
  const float* charge;             /* (n,), null where the network takes none */
  double* energies;                /* (n,) */
  float* edge_gradients;           /* (n, K, 3), zero where there is no edge; null where not wanted */
  double* errors;                  /* (3, n): energy errors, force errors, novelty; null where not wanted */
} EquipotPortion;

/* Gradients by the weights of this name are added to `sums`, `count` numbers, row by row. */
typedef struct {
  const char* name;
  double* sums;
  int64_t count;
} EquipotGradient;

typedef struct EquipotAllegro EquipotAllegro;

/* The level of vector instructions that this processor has: 0, 1 (AVX2 with FMA) or 2 (AVX-512F). */
EQUIPOT_API int equipot_level(void);

/* A network, or null and what is wrong in `message`. The arrays are copied. */
EQUIPOT_API EquipotAllegro* equipot_allegro_open(const EquipotTensor* tensors, int64_t count,
                                                 char* message, int64_t size);

EQUIPOT_API void equipot_allegro_close(EquipotAllegro* network);

/* Evaluate a portion. From any number of threads at the same time. 0, or another number and what
   is wrong in `message`. */
EQUIPOT_API int equipot_allegro_run(const EquipotAllegro* network, const EquipotPortion* portion,
                                    char* message, int64_t size);

/* Evaluate a portion, and add the gradients of sum_i factors[i] energies[i], of (n,) factors, by the
   network's weights to the arrays of their names, all of which have to be given. `edge_gradients` and
   `errors` are not looked at. From any number of threads, with arrays of their own. Returns as above. */
EQUIPOT_API int equipot_allegro_weight_gradients(const EquipotAllegro* network,
                                                 const EquipotPortion* portion, const double* factors,
                                                 const EquipotGradient* arrays, int64_t count,
                                                 char* message, int64_t size);

#ifdef __cplusplus
}
#endif
#endif
