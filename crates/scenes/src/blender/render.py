"""Renders the scenes of a job file with Cycles: blender --background --python render.py -- job.json

The job (job.rs) says everything in world coordinates and linear light. Pictures go beside it: 0000.png, 0000-mask.png.
"""

import json
import math
import os
import sys

import bmesh
import bpy
from mathutils import Matrix, Vector


def clear():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.use_denoising = False
    scene.cycles.seed = 0
    # The ray caster has no light between surfaces but its ambient term.
    scene.cycles.max_bounces = 2
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.dither_intensity = 0.0
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    return scene


class Nodes:
    """A node tree with less to type."""

    def __init__(self, tree):
        self.tree = tree
        tree.nodes.clear()

    def add(self, kind, **inputs):
        node = self.tree.nodes.new(kind)
        for name, value in inputs.items():
            self.set(node.inputs[int(name[1:]) if name[0] == "_" else name], value)
        return node

    def set(self, socket, value):
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif isinstance(value, (list, tuple)) and len(value) == 3 and socket.type == "RGBA":
            socket.default_value = (*value, 1.0)
        else:
            socket.default_value = value

    def math(self, operation, *values, clamp=False):
        node = self.tree.nodes.new("ShaderNodeMath")
        node.operation = operation
        node.use_clamp = clamp
        for socket, value in zip(node.inputs, values):
            self.set(socket, value)
        return node.outputs[0]

    def mix(self, factor, first, second):
        node = self.tree.nodes.new("ShaderNodeMixRGB")
        for socket, value in zip(node.inputs, (factor, first, second)):
            self.set(socket, value)
        return node.outputs[0]


def material(part):
    made = bpy.data.materials.new("part")
    made.use_nodes = True
    nodes = Nodes(made.node_tree)
    colour = part["colour"]
    if part["band"]:
        height = nodes.add("ShaderNodeSeparateXYZ", _0=nodes.add("ShaderNodeTexCoord").outputs["Object"]).outputs[2]
        inside = nodes.math("FRACT", nodes.math("MULTIPLY", height, 0.5 / part["band"]))
        wave = nodes.math("ABSOLUTE", nodes.math("SUBTRACT", inside, 0.5))
        # As `stripes` of the ray caster: a wave from -1 to 1, made steep.
        white = nodes.math("MULTIPLY_ADD", wave, 24.0, -5.5, clamp=True)
        colour = nodes.mix(white, colour, (0.88, 0.88, 0.88))
    roughness, specular, metallic = {"matte": (1.0, 0.0, 0.0), "shiny": (0.25, 0.5, 0.0), "metal": (0.3, 0.5, 0.8)}[
        part["material"]
    ]
    surface = nodes.add("ShaderNodeBsdfPrincipled", Roughness=roughness, Metallic=metallic)
    nodes.set(surface.inputs["Base Color"], colour)
    nodes.set(surface.inputs["Specular" if "Specular" in surface.inputs else "Specular IOR Level"], specular)
    nodes.add("ShaderNodeOutputMaterial", Surface=surface.outputs[0])
    return made


def flat(value):
    """A material that shines in one grey, whatever lights it."""
    made = bpy.data.materials.new("flat")
    made.use_nodes = True
    nodes = Nodes(made.node_tree)
    shine = nodes.add("ShaderNodeEmission", Color=(value, value, value))
    nodes.add("ShaderNodeOutputMaterial", Surface=shine.outputs[0])
    return made


def mesh(solid):
    body = bmesh.new()
    smooth = True
    if "ellipsoid" in solid:
        bmesh.ops.create_uvsphere(body, u_segments=64, v_segments=32, radius=1.0)
        bmesh.ops.scale(body, vec=Vector(solid["ellipsoid"]), verts=body.verts)
    elif "frustum" in solid:
        bottom, top, height = solid["frustum"]
        bmesh.ops.create_cone(
            body, cap_ends=True, segments=96, radius1=bottom, radius2=top, depth=height
        )
        bmesh.ops.translate(body, vec=(0.0, 0.0, height / 2), verts=body.verts)
    else:
        for corner in solid["hull"]:
            body.verts.new(corner)
        bmesh.ops.convex_hull(body, input=body.verts)
        smooth = False
    for face in body.faces:
        # Caps are flat.
        face.smooth = smooth and len(face.verts) <= 4
    made = bpy.data.meshes.new("part")
    body.to_mesh(made)
    body.free()
    return made


def add(scene, name, data, matrix):
    made = bpy.data.objects.new(name, data)
    made.matrix_world = matrix
    scene.collection.objects.link(made)
    return made


def add_camera(scene, camera):
    data = bpy.data.cameras.new("camera")
    data.type = "ORTHO"
    data.ortho_scale = camera["scale"]
    data.clip_end = 200.0
    scene.camera = add(scene, "camera", data, Matrix(camera["matrix"]))


def add_light(scene, light):
    data = bpy.data.lights.new("light", "SUN")
    data.energy = light["direct"] * math.pi
    data.angle = math.radians(2 * light["spread"])
    turn = Vector(light["direction"]).to_track_quat("Z", "Y")
    add(scene, "light", data, turn.to_matrix().to_4x4())


def set_world(scene, sky, ambient):
    """The eye sees the gradient; surfaces are lit by its strength alone."""
    nodes = Nodes(scene.world.node_tree)
    height = nodes.add("ShaderNodeSeparateXYZ", _0=nodes.add("ShaderNodeTexCoord").outputs["Window"]).outputs[1]
    rise = nodes.math("SUBTRACT", height, sky["horizon"])
    up = nodes.math("DIVIDE", rise, max(1.0 - sky["horizon"], 1e-3), clamp=True)
    seen = nodes.add("ShaderNodeBackground", Color=nodes.mix(up, sky["bottom"], sky["top"]))
    lit = nodes.add("ShaderNodeBackground", Color=(1.0, 1.0, 1.0), Strength=ambient)
    by_eye = nodes.add("ShaderNodeLightPath").outputs["Is Camera Ray"]
    both = nodes.add("ShaderNodeMixShader", _0=by_eye, _1=lit.outputs[0], _2=seen.outputs[0])
    nodes.add("ShaderNodeOutputWorld", Surface=both.outputs[0])


def ground_colour(nodes, ground):
    first, second = ground["colours"]
    if ground["texture"] == "plain":
        return first
    place = nodes.add("ShaderNodeNewGeometry").outputs["Position"]
    parts = nodes.add("ShaderNodeSeparateXYZ", _0=place).outputs
    if ground["texture"] == "gradient":
        sin, cos = math.sin(math.radians(ground["yaw"])), math.cos(math.radians(ground["yaw"]))
        x, y = ground["target"]
        along = nodes.math("MULTIPLY_ADD", parts[0], -sin, x * sin - y * cos)
        ahead = nodes.math("MULTIPLY_ADD", parts[1], cos, along)
        reach = ground["horizon"] - ground["near"]
        return nodes.mix(nodes.math("DIVIDE", nodes.math("SUBTRACT", ahead, ground["near"]), reach, clamp=True), first, second)
    if ground["texture"] == "checker":
        cell = lambda axis: nodes.math("FLOOR", nodes.math("DIVIDE", parts[axis], ground["square"]))
        odd = nodes.math("PINGPONG", nodes.math("ADD", cell(0), cell(1)), 1.0)
        return nodes.mix(odd, first, second)
    if ground["texture"] == "grass":
        tufts = nodes.add("ShaderNodeTexNoise", Vector=place, Scale=7.0).outputs[0]
        fine = nodes.add("ShaderNodeVectorMath", _0=place, _1=(52.0, 20.0, 1.0))
        fine.operation = "MULTIPLY"
        blades = nodes.add("ShaderNodeTexNoise", Vector=fine.outputs[0], Scale=1.0).outputs[0]
        both = nodes.math("ADD", nodes.math("MULTIPLY_ADD", tufts, 0.8, -0.25), nodes.math("MULTIPLY", blades, 0.7))
        return nodes.mix(both, first, second)
    across = nodes.math("DIVIDE", parts[1], ground["plank"])
    row = nodes.math("FLOOR", across)
    tone = nodes.add("ShaderNodeTexWhiteNoise")
    tone.noise_dimensions = "1D"
    nodes.set(tone.inputs["W"], row)
    stretched = nodes.add("ShaderNodeVectorMath", _0=place, _1=(5.0, 55.0, 1.0))
    stretched.operation = "MULTIPLY"
    grain = nodes.add("ShaderNodeTexNoise", Vector=stretched.outputs[0], Scale=1.0).outputs[0]
    plain = nodes.math("MULTIPLY_ADD", tone.outputs[0], 0.4, nodes.math("MULTIPLY_ADD", grain, 0.5, -0.1))
    edge = nodes.math("ABSOLUTE", nodes.math("SUBTRACT", nodes.math("FRACT", across), 0.5))
    seam = nodes.math("MULTIPLY", nodes.math("GREATER_THAN", edge, 0.5 - 0.004 / ground["plank"]), 0.55)
    return nodes.mix(nodes.math("ADD", plain, seam, clamp=True), first, second)


def add_ground(scene, ground):
    made = bpy.data.materials.new("ground")
    made.use_nodes = True
    nodes = Nodes(made.node_tree)
    surface = nodes.add("ShaderNodeBsdfDiffuse", Color=ground_colour(nodes, ground))
    nodes.add("ShaderNodeOutputMaterial", Surface=surface.outputs[0])
    plane = bpy.data.meshes.new("ground")
    near, far, side = -40.0, ground["horizon"], 40.0
    corners = [(-side, near, 0), (side, near, 0), (side, far, 0), (-side, far, 0)]
    plane.from_pydata(corners, [], [(0, 1, 2, 3)])
    plane.materials.append(made)
    x, y = ground["target"]
    place = Matrix.Translation((x, y, 0)) @ Matrix.Rotation(math.radians(ground["yaw"]), 4, "Z")
    return add(scene, "ground", plane, place)


def render(scene, path, samples):
    scene.cycles.samples = samples
    # One sample of a narrow filter is the middle of the pixel.
    scene.cycles.pixel_filter_type = "BOX" if samples == 1 else "BLACKMAN_HARRIS"
    scene.cycles.filter_width = 0.01 if samples == 1 else 1.2
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)


def render_mask(scene, parts, ground, path):
    """Every object in the grey of its number."""
    # Greys are written as they are.
    scene.view_settings.view_transform = "Raw"
    greys = {}
    for made, part in parts:
        number = part["object"]
        if number not in greys:
            greys[number] = flat(number / 255.0)
        made.data.materials[0] = greys[number]
    ground.hide_render = True
    Nodes(scene.world.node_tree)
    render(scene, path, 1)


def render_scene(job, described, stem):
    scene = clear()
    scene.render.resolution_x, scene.render.resolution_y = job["width"], job["height"]
    scene.render.resolution_percentage = 100
    add_camera(scene, described["camera"])
    add_light(scene, described["light"])
    set_world(scene, described["sky"], described["light"]["ambient"])
    ground = add_ground(scene, described["ground"])
    parts = []
    for part in described["parts"]:
        made = add(scene, "part", mesh(part["solid"]), Matrix(part["matrix"]))
        made.data.materials.append(material(part))
        made.visible_shadow = part["shadow"]
        parts.append((made, part))
    render(scene, stem + ".png", job["samples"])
    render_mask(scene, parts, ground, stem + "-mask.png")


def main():
    path = sys.argv[sys.argv.index("--") + 1]
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    for index, described in enumerate(job["scenes"]):
        render_scene(job, described, os.path.join(os.path.dirname(path), f"{index:04}"))


main()
