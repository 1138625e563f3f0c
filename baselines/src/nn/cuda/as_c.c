// Runs the kernels of kernels.cu on the CPU: every thread of a block is a thread, one block after the other.
//
// Reads from standard input a kernel's name, the grid, the number of arguments, and the arguments: a letter, and an int
// (i), a count (u), a double (d), nothing (n, a null pointer), or a number of bytes and the bytes (p). Writes the bytes of
// all pointers to standard output. cc -O1 -pthread [-DF64|-DBF16] as_c.c -lm
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define __device__
#define KERNEL static
#define SHARED static
typedef struct {
  unsigned x, y;
} Index;
static Index gridDim, blockDim, blockIdx;
static __thread Index threadIdx;
static pthread_barrier_t barrier;
static void __syncthreads(void) { pthread_barrier_wait(&barrier); }
#ifdef BF16
static unsigned __float_as_uint(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  return bits;
}
static float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
#endif
#include "kernels.cu"

typedef struct {
  char kind;
  int integer;
  unsigned long long size;
  double real;
  void *bytes;
} Argument;
static Argument arguments[16];
static char name[64];

#define P(n) arguments[n].bytes
#define I(n) arguments[n].integer
#define U(n) arguments[n].size
#define D(n) arguments[n].real
#define IS(kernel) (strcmp(name, #kernel) == 0)

static void call(void) {
  if IS(relu) relu(P(0), P(1), U(2));
  else if IS(relu_gradient) relu_gradient(P(0), P(1), P(2), U(3));
  else if IS(epilogue) epilogue(P(0), P(1), P(2), I(3), I(4), U(5), U(6));
  else if IS(max_pool) max_pool(P(0), P(1), I(2), I(3), U(4));
  else if IS(max_pool_gradient) max_pool_gradient(P(0), P(1), P(2), I(3), I(4), U(5));
  else if IS(twice) twice(P(0), P(1), I(2), I(3), U(4));
  else if IS(sum_of_four) sum_of_four(P(0), P(1), I(2), I(3), U(4));
  else if IS(moments) moments(P(0), P(1), I(2), U(3), U(4));
  else if IS(moments_end) 
    moments_end(P(0), P(1), P(2), P(3), P(4), I(5), I(6), D(7), U(8), U(9));
  else if IS(normalise) normalise(P(0), P(1), P(2), P(3), P(4), P(5), I(6), U(7), U(8));
  else if IS(gradient_sums) gradient_sums(P(0), P(1), P(2), P(3), I(4), U(5), U(6));
  else if IS(gradient_sums_end) 
    gradient_sums_end(P(0), P(1), P(2), P(3), P(4), P(5), I(6), I(7), U(8));
  else if IS(norm_gradient)
    norm_gradient(P(0), P(1), P(2), P(3), P(4), I(5), U(6), U(7));
  else if IS(squares) squares(P(0), P(1), U(2));
  else if IS(squares_end) squares_end(P(0), P(1), I(2));
  else if IS(largest_logits) largest_logits(P(0), P(1), I(2), U(3), U(4));
  else if IS(cross_entropy) cross_entropy(P(0), P(1), P(2), P(3), I(4), U(5), U(6));
  else if IS(cross_entropy_end) cross_entropy_end(P(0), P(1), I(2));
  else if IS(cross_entropy_gradient)
    cross_entropy_gradient(P(0), P(1), P(2), P(3), P(4), P(5), I(6), U(7), U(8));
  else abort();
}

static void *thread_of_block(void *number) {
  threadIdx.x = (unsigned)(size_t)number;
  call();
  return 0;
}

static void take(void *target, size_t size) {
  if (fread(target, 1, size, stdin) != size) abort();
}

int main(void) {
  unsigned length, count;
  take(&length, 4);
  if (length >= sizeof name) abort();
  take(name, length);
  take(&gridDim, 8);
  take(&blockDim.x, 4);
  take(&count, 4);
  if (count > 16 || blockDim.x > 256) abort();
  for (unsigned i = 0; i < count; i++) {
    Argument *argument = &arguments[i];
    take(&argument->kind, 1);
    if (argument->kind == 'i') take(&argument->integer, 4);
    if (argument->kind == 'u') take(&argument->size, 8);
    if (argument->kind == 'd') take(&argument->real, 8);
    if (argument->kind == 'p') {
      take(&argument->size, 8);
      argument->bytes = malloc(argument->size ? argument->size : 1);
      take(argument->bytes, argument->size);
    }
  }
  for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
      pthread_t threads[256];
      pthread_barrier_init(&barrier, 0, blockDim.x);
      for (size_t i = 0; i < blockDim.x; i++)
        if (pthread_create(&threads[i], 0, thread_of_block, (void *)i)) abort();
      for (size_t i = 0; i < blockDim.x; i++) pthread_join(threads[i], 0);
      pthread_barrier_destroy(&barrier);
    }
  for (unsigned i = 0; i < count; i++)
    if (arguments[i].kind == 'p') fwrite(arguments[i].bytes, 1, arguments[i].size, stdout);
  return fflush(stdout);
}
