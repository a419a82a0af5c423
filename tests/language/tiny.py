"""A space with a little of everything that can be built."""

TINY = """space tiny(width = 8, depth = 2, f = relu, many = [1, 2, 3]) {
  input image: 3
  axis layer = 0..depth
  axis scale = s4, s8 with stride = 4 * 2^scale
  let w[layer] = width if layer == 0 else w[layer - 1] + width
  let total = sum(w[i] for i in 0..depth)
  op block(k, c = 2 * channels, g = f) = conv(k, c) | g | conv(1) + identity | maxpool(3, pad = 1)
  gate pick(n = 4) per image {
    body       mean | conv(1, n) | relu | conv(1, routes, bias)
    activation sigmoid
    start      value(1 / n)
  }
  node stem {
    s = image | conv(3, width, stride = 4)
  }
  node at layer {
    a = s if layer == 0 else sum(b[i] for i in 0..layer - 1) + max(b[layer - 1], b[0])
    r = pick(a, 2)
    t = a | block(3) | conv(1, width) | resize(to = s4)
    b = sum by r { bent: a | relu where layer < 2; other: t } closed = a below 0.1
  }
  output y = concat(b[depth], s, b[layer]) | conv(many[1], many[2] * total)
  output z[layer] = b[layer] | mean
  budget ratio(expected / maximum, weight = 0.1)
  live by_route in training
}
"""
