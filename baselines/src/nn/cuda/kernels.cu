// The kernels of the layers on a GPU. NVRTC compiles this file for the device when a process first needs it; a test
// compiles it as C and runs it on the CPU, which is why it uses nothing of C++.
//
// Of the types: `T` is a tensor's, `A` the one that is computed in and that parameters and statistics have. BF16 or F64
// is defined for these types; otherwise both are float. Sums over many values are of doubles, in a fixed order.
//
// All tensors are contiguous, [B, C, ...]; a plane is what follows C. Elementwise kernels stride over their grid.

#ifdef BF16
typedef unsigned short T;
typedef float A;
// The nearest value, ties to even; NaN stays NaN.
static __device__ A load(T value) { return __uint_as_float((unsigned)value << 16); }
static __device__ T store(A value) {
  unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (T)((bits >> 16) | 0x40u);
  return (T)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
#else
#ifdef F64
typedef double T;
typedef double A;
#else
typedef float T;
typedef float A;
#endif
static __device__ A load(T value) { return value; }
static __device__ T store(A value) { return value; }
#endif

typedef unsigned long long Size;

#define EACH(i, count)                                                            \
  for (Size i = (Size)blockIdx.x * blockDim.x + threadIdx.x; i < (count); \
       i += (Size)gridDim.x * blockDim.x)

// The channel of element `i` of [B, C, plane]. Divisions of 64 bits take longer than the memory that they wait for.
static __device__ int channel_of(Size i, Size plane, int channels) {
  if (i >> 32 == 0 && plane >> 32 == 0) return (int)((unsigned)i / (unsigned)plane % (unsigned)channels);
  return (int)(i / plane % channels);
}

// Threads of a block in the kernels that sum.
#define THREADS 256

// NaN stays NaN.
KERNEL void relu(const T *x, T *y, Size count) {
  EACH(i, count) {
    A value = load(x[i]);
    y[i] = store(value <= 0 ? 0 : value);
  }
}

// The gradient where the output is above 0.
KERNEL void relu_gradient(const T *g, const T *y, T *of_x, Size count) {
  EACH(i, count) of_x[i] = load(y[i]) <= 0 ? store(0) : g[i];
}

// y + bias of its channel (+ residual), rectified if asked for; in place. `residual` may be null.
KERNEL void epilogue(T *y, const A *bias, const T *residual, int rectified, int channels, Size plane, Size count) {
  EACH(i, count) {
    A value = load(y[i]) + bias[channel_of(i, plane, channels)];
    if (residual) value += load(residual[i]);
    y[i] = store(rectified && value <= 0 ? 0 : value);
  }
}

// The index of the largest pixel of a 3x3 window with stride 2 and padding 1: the first in row-major order, or the last
// NaN.
static __device__ Size largest(const T *x, int row, int column, int height, int width) {
  int top = 2 * row > 0 ? 2 * row - 1 : 0, bottom = 2 * row + 2 < height ? 2 * row + 2 : height;
  int left = 2 * column > 0 ? 2 * column - 1 : 0, right = 2 * column + 2 < width ? 2 * column + 2 : width;
  Size best = (Size)top * width + left;
  A value = load(x[best]);
  for (int i = top; i < bottom; i++)
    for (int j = left; j < right; j++) {
      A other = load(x[(Size)i * width + j]);
      if (other > value || other != other) {
        best = (Size)i * width + j;
        value = other;
      }
    }
  return best;
}

// [N, height, width] to [N, ceil(height / 2), ceil(width / 2)].
KERNEL void max_pool(const T *x, T *y, int height, int width, Size count) {
  int down = (height + 1) / 2, across = (width + 1) / 2;
  EACH(i, count) {
    const T *image = x + i / ((Size)down * across) * ((Size)height * width);
    y[i] = image[largest(image, (int)(i / across % down), (int)(i % across), height, width)];
  }
}

// Each pixel adds up the gradients of the windows in which it is the largest, so no two threads write to one address.
KERNEL void max_pool_gradient(const T *g, const T *x, T *of_x, int height, int width, Size count) {
  int down = (height + 1) / 2, across = (width + 1) / 2;
  EACH(i, count) {
    Size image = i / ((Size)height * width), pixel = i % ((Size)height * width);
    int row = (int)(pixel / width), column = (int)(pixel % width);
    A sum = 0;
    for (int down_to = row / 2; down_to <= (row + 1) / 2 && down_to < down; down_to++)
      for (int across_to = column / 2; across_to <= (column + 1) / 2 && across_to < across; across_to++)
        if (largest(x + image * ((Size)height * width), down_to, across_to, height, width) == pixel)
          sum += load(g[(image * down + down_to) * across + across_to]);
    of_x[i] = store(sum);
  }
}

// [N, height, width] to [N, 2 height, 2 width].
KERNEL void twice(const T *x, T *y, int height, int width, Size count) {
  EACH(i, count) {
    Size row = i / (2 * (Size)width), column = i % (2 * (Size)width);
    Size image = row / (2 * (Size)height);
    y[i] = x[(image * height + row % (2 * (Size)height) / 2) * width + column / 2];
  }
}

// [N, 2 height, 2 width] to [N, height, width].
KERNEL void sum_of_four(const T *g, T *of_x, int height, int width, Size count) {
  EACH(i, count) {
    Size row = i / width, column = i % width, image = row / height;
    const T *first = g + (image * 2 * height + row % height * 2) * (2 * (Size)width) + 2 * column;
    const T *second = first + 2 * (Size)width;
    of_x[i] = store((load(first[0]) + load(first[1])) + (load(second[0]) + load(second[1])));
  }
}

// Adds two numbers of every thread of a block; the sum is in the first thread. The order is fixed.
static __device__ void sum_of_block(double *first, double *second) {
  SHARED double sums[2 * THREADS];
  int thread = (int)threadIdx.x;
  sums[thread] = *first;
  sums[THREADS + thread] = *second;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) {
      sums[thread] += sums[thread + half];
      sums[THREADS + thread] += sums[THREADS + thread + half];
    }
  }
  *first = sums[0];
  *second = sums[THREADS];
  __syncthreads();
}

// The element of [B, C, plane] that is number `i` of channel `channel`.
static __device__ Size of_channel(Size i, int channel, int channels, Size plane) {
  return (i / plane * channels + channel) * plane + i % plane;
}

// Sums of a channel's values and of their squares, less the channel's first value, which keeps the digits of large means.
// Block (channel, part) of a grid (C, parts) writes parts[channel][part][0..2]; `each` is B * plane.
KERNEL void moments(const T *x, double *parts, int channels, Size plane, Size each) {
  int channel = (int)blockIdx.x;
  double shift = load(x[channel * plane]), sum = 0, squares = 0;
  for (Size i = (Size)blockIdx.y * THREADS + threadIdx.x; i < each; i += (Size)gridDim.y * THREADS) {
    double value = (double)load(x[of_channel(i, channel, channels, plane)]) - shift;
    sum += value;
    squares += value * value;
  }
  sum_of_block(&sum, &squares);
  if (threadIdx.x == 0) {
    parts[2 * (channel * (Size)gridDim.y + blockIdx.y)] = sum;
    parts[2 * (channel * (Size)gridDim.y + blockIdx.y) + 1] = squares;
  }
}

// Mean, biased variance, and 1 / sqrt(variance + epsilon) of each channel.
KERNEL void moments_end(const T *x, const double *parts, A *mean, A *variance, A *inverse, int channels, int count,
                        double epsilon, Size plane, Size each) {
  EACH(channel, channels) {
    double sum = 0, squares = 0;
    for (int part = 0; part < count; part++) {
      sum += parts[2 * (channel * count + part)];
      squares += parts[2 * (channel * count + part) + 1];
    }
    double apart = sum / (double)each, spread = squares / (double)each - apart * apart;
    if (spread < 0) spread = 0;
    mean[channel] = (A)(load(x[channel * plane]) + apart);
    variance[channel] = (A)spread;
    inverse[channel] = (A)(1 / sqrt(spread + epsilon));
  }
}

// (x - mean) * inverse * weight + bias; `weight` and `bias` may be null.
KERNEL void normalise(const T *x, const A *mean, const A *inverse, const A *weight, const A *bias, T *y, int channels,
                      Size plane, Size count) {
  EACH(i, count) {
    int channel = channel_of(i, plane, channels);
    A scale = weight ? inverse[channel] * weight[channel] : inverse[channel];
    A value = (load(x[i]) - mean[channel]) * scale;
    y[i] = store(bias ? value + bias[channel] : value);
  }
}

// Sums of g * (x - mean) and of g over a channel, by parts as in `moments`. Without `x`, the sums of g alone.
KERNEL void gradient_sums(const T *g, const T *x, const A *mean, double *parts, int channels, Size plane, Size each) {
  int channel = (int)blockIdx.x;
  double product = 0, sum = 0;
  for (Size i = (Size)blockIdx.y * THREADS + threadIdx.x; i < each; i += (Size)gridDim.y * THREADS) {
    Size at = of_channel(i, channel, channels, plane);
    double gradient = load(g[at]);
    if (x) product += gradient * ((double)load(x[at]) - mean[channel]);
    sum += gradient;
  }
  sum_of_block(&product, &sum);
  if (threadIdx.x == 0) {
    parts[2 * (channel * (Size)gridDim.y + blockIdx.y)] = product;
    parts[2 * (channel * (Size)gridDim.y + blockIdx.y) + 1] = sum;
  }
}

// Gradients of weight and bias, and the three factors of the input's gradient, for each channel. Only `of_bias` must be
// there. With x' = (x - mean) inverse, that gradient is weight inverse (g - mean(g) - x' mean(g x')).
KERNEL void gradient_sums_end(const double *parts, const A *inverse, const A *weight, A *of_weight, A *of_bias,
                              A *factors, int channels, int count, Size each) {
  EACH(channel, channels) {
    double product = 0, sum = 0;
    for (int part = 0; part < count; part++) {
      product += parts[2 * (channel * count + part)];
      sum += parts[2 * (channel * count + part) + 1];
    }
    of_bias[channel] = (A)sum;
    if (!inverse) continue;
    of_weight[channel] = (A)(product * inverse[channel]);
    double scale = weight ? (double)weight[channel] * inverse[channel] : inverse[channel];
    factors[3 * channel] = (A)scale;
    factors[3 * channel + 1] = (A)(-scale * inverse[channel] * inverse[channel] * product / (double)each);
    factors[3 * channel + 2] = (A)(-scale * sum / (double)each);
  }
}

// The gradient of a norm's input, by the factors above.
KERNEL void norm_gradient(const T *g, const T *x, const A *mean, const A *factors, T *of_x, int channels, Size plane,
                          Size count) {
  EACH(i, count) {
    int channel = channel_of(i, plane, channels);
    const A *f = factors + 3 * channel;
    of_x[i] = store(load(g[i]) * f[0] + (load(x[i]) - mean[channel]) * f[1] + f[2]);
  }
}

// The sum of squares: each block writes one part.
KERNEL void squares(const T *x, double *parts, Size count) {
  double sum = 0, nothing = 0;
  EACH(i, count) {
    double value = load(x[i]);
    sum += value * value;
  }
  sum_of_block(&sum, &nothing);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// Adds up the parts; one thread.
KERNEL void squares_end(const double *parts, double *sum, int count) {
  double all = 0;
  for (int part = 0; part < count; part++) all += parts[part];
  sum[0] = all;
}

// The class with the largest of the logits [B, K, plane] of each pixel, the first of equal ones: `classes` is
// [B, 1 + plane], whose first byte becomes 1 if a logit of the sample is not finite, and must be 0 before.
KERNEL void largest_logits(const T *logits, unsigned char *classes, int count_of_classes, Size plane, Size count) {
  EACH(i, count) {
    Size sample = i / plane, pixel = i % plane;
    const T *first = logits + sample * count_of_classes * plane + pixel;
    int best = 0, finite = 1;
    A most = load(first[0]);
    for (int k = 0; k < count_of_classes; k++) {
      A value = load(first[k * plane]);
      if (value - value != 0) finite = 0;
      if (value > most) {
        most = value;
        best = k;
      }
    }
    classes[sample * (1 + plane) + 1 + pixel] = (unsigned char)best;
    if (!finite) classes[sample * (1 + plane)] = 1;
  }
}

// Cross-entropy of logits [B, K, plane] by labels [B, plane]; 255 is ignored. Each block writes the sum of the weighted
// losses and the sum of the weights. A label that is no class makes the loss NaN.
KERNEL void cross_entropy(const T *logits, const unsigned char *labels, const double *weights, double *parts, int classes,
                          Size plane, Size count) {
  double loss = 0, weight = 0;
  EACH(i, count) {
    int label = labels[i];
    if (label == 255) continue;
    if (label >= classes) {
      loss += 0.0 / (double)(label - label);
      continue;
    }
    const T *first = logits + i / plane * classes * plane + i % plane;
    A most = load(first[0]), sum = 0;
    for (int k = 1; k < classes; k++) {
      A value = load(first[k * plane]);
      if (value > most || value != value) most = value;
    }
    for (int k = 0; k < classes; k++) sum += exp(load(first[k * plane]) - most);
    loss += weights[label] * (double)(log(sum) - (load(first[label * plane]) - most));
    weight += weights[label];
  }
  sum_of_block(&loss, &weight);
  if (threadIdx.x == 0) {
    parts[2 * (Size)blockIdx.x] = loss;
    parts[2 * (Size)blockIdx.x + 1] = weight;
  }
}

// The loss, and the sum of the weights, 1 where it is 0; one thread.
KERNEL void cross_entropy_end(const double *parts, double *totals, int count) {
  double loss = 0, weight = 0;
  for (int part = 0; part < count; part++) {
    loss += parts[2 * part];
    weight += parts[2 * part + 1];
  }
  totals[1] = weight > 0 ? weight : 1;
  totals[0] = loss / totals[1];
}

// Gradient of the logits; `g` is that of the loss.
KERNEL void cross_entropy_gradient(const double *g, const double *totals, const T *logits, const unsigned char *labels,
                                   const double *weights, T *of_logits, int classes, Size plane, Size count) {
  EACH(i, count) {
    int label = labels[i];
    Size start = i / plane * classes * plane + i % plane;
    if (label >= classes) {
      for (int k = 0; k < classes; k++) of_logits[start + k * plane] = store(0);
      continue;
    }
    A most = load(logits[start]), sum = 0;
    for (int k = 1; k < classes; k++) {
      A value = load(logits[start + k * plane]);
      if (value > most || value != value) most = value;
    }
    for (int k = 0; k < classes; k++) sum += exp(load(logits[start + k * plane]) - most);
    A factor = (A)(g[0] * weights[label] / totals[1]);
    for (int k = 0; k < classes; k++) {
      A share = exp(load(logits[start + k * plane]) - most) / sum;
      of_logits[start + k * plane] = store((share - (k == label ? 1 : 0)) * factor);
    }
  }
}
